"""The search spaces and the phone that benchmarks study, and architectures spread over a space."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from latency_predictor import load_default
from search.config.schema import CONFIGS
from search.costs.costs import SpaceCosts
from space.architecture import Architecture, Chain
from space.search_space import SearchSpace

DEVICE = "iphone13"
"""Phone whose predicted decode time is the cost."""
TABULATED = Path(__file__).with_name("pico_small_2400.yaml")


def load_space(name: str) -> SearchSpace:
    """The space of the file with this name in `configs/space`."""
    return SearchSpace.from_config(yaml.safe_load((CONFIGS / f"space/{name}.yaml").read_text()))


def tabulated_space() -> SearchSpace:
    """The space of 2,400 architectures that `fidelity.py` and `table.py` measure."""
    return SearchSpace.from_config(yaml.safe_load(TABULATED.read_text()))


def spread_over_decode_time(space: SearchSpace, count: int) -> list[Architecture]:
    """Architectures at evenly spaced ranks of predicted decode time, the fastest first."""
    decode_ms = SpaceCosts(space, load_default(), DEVICE).of(np.arange(space.size))["decode_ms"]
    order = decode_ms.to_numpy().argsort(kind="stable")
    ranks = np.linspace(0, len(order) - 1, count).round().astype(int)
    return [space.architecture(int(order[rank])) for rank in ranks]


def without_blocks(chains: tuple[Chain, Chain, Chain]) -> tuple[Chain, Chain, Chain]:
    """Chains of the same widths that have no blocks."""
    first, second, third = (replace(chain, R=0) for chain in chains)
    return first, second, third
