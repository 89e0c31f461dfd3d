"""Seconds to price a million architectures of `pico_large`, against building each module.

    python benchmarks/screening.py

One thread; the closed form is timed in chunks as the search runs it, the modules on the meta
device, where no weight is allocated. Prints medians of three and their ratio.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import yaml

from latency_predictor import load_default
from latency_predictor.trace import trace
from search.config import CONFIGS
from search.costs import CHUNK, costs
from space.architecture import LEVELS
from space.codec import Codec
from space.search_space import SearchSpace
from space.tiling import TILE

DEVICE = "iphone13"
MODULES = 5


def median_s(task: Callable[[], object]) -> float:
    """Median wall-clock seconds of three calls."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    torch.set_num_threads(1)
    space = SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text()))
    model = load_default()
    numbers = space.sample(CHUNK, np.random.default_rng(0))

    def closed_form() -> None:
        costs(space.columns(numbers), model, DEVICE)

    def modules() -> None:
        for number in numbers[:MODULES].tolist():
            architecture = space.architecture(number)
            with torch.device("meta"):
                decoder = Codec(architecture).fold().eval().decoder
            symbols = (1, architecture.latent_channels, TILE // 16, TILE // 16)
            z = (1, architecture.hyper_channels, TILE // 64, TILE // 64)
            model.predict(trace(decoder, symbols, z, (1, LEVELS)), DEVICE)

    priced, traced = median_s(closed_form) / CHUNK, median_s(modules) / MODULES
    print(f"closed form, encoder and decoder: {priced * 1e6:.1f} s per million architectures")
    print(f"traced module, decoder alone:     {traced * 1e3:.1f} ms per architecture")
    print(f"ratio: {traced / priced:,.0f}")


if __name__ == "__main__":
    main()
