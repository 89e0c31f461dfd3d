"""Seconds to price encoder and decoder of a million architectures of `pico_large`, in three ways.

    OMP_NUM_THREADS=1 python benchmarks/screening.py

The first way is by segments, as the search screens a space, and includes everything. The second is
op by op in closed form. The third builds each decoder on the meta device, where no weight is
allocated, and traces it. The last two are measured on fewer architectures. Prints medians of three
runs and their ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import yaml
from spaces import DEVICE

from latency_predictor import load_default
from latency_predictor.networks.trace import trace
from search.config.schema import CONFIGS
from search.costs.costs import PRICED_AT_ONCE, SpaceCosts, costs
from space.architecture import LEVELS
from space.bitstream.tiling import TILE
from space.codec.codec import Codec
from space.search_space import SearchSpace

MILLION = 1_000_000
TRACED = 5
"""Number of decoders that are built and traced."""


def median_s(task: Callable[[], object]) -> float:
    """Median wall-clock seconds of three calls."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    config = yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text())
    numbers = SearchSpace.from_config(config).sample(MILLION, np.random.default_rng(0))
    model = load_default()
    space = SearchSpace.from_config(config)

    def by_segments() -> None:
        # A new space has no axes yet: enumerating them counts.
        SpaceCosts(SearchSpace.from_config(config), model, DEVICE).of(numbers)

    def op_by_op() -> None:
        costs(space.columns(numbers[:PRICED_AT_ONCE]), model, DEVICE)

    def modules() -> None:
        for number in numbers[:TRACED].tolist():
            architecture = space.architecture(number)
            with torch.device("meta"):
                decoder = Codec(architecture).fold().eval().decoder
            symbols = (1, architecture.latent_channels, TILE // 16, TILE // 16)
            z = (1, architecture.hyper_channels, TILE // 64, TILE // 64)
            model.predict(trace(decoder, symbols, z, (1, LEVELS)), DEVICE)

    segments_s = median_s(by_segments)
    ops_s = median_s(op_by_op) * MILLION / PRICED_AT_ONCE
    modules_s = median_s(modules) * MILLION / TRACED
    print("seconds per million architectures")
    print(f"by segments:                   {segments_s:12.2f}")
    print(f"op by op:                      {ops_s:12.1f}, {ops_s / segments_s:,.0f} times as long")
    times = modules_s / segments_s
    print(f"traced modules, decoder alone: {modules_s:12,.0f}, {times:,.0f} times as long")


if __name__ == "__main__":
    main()
