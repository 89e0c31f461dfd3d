"""Estimate of the memory that an evaluation needs, so that Ray starts no more than fit together."""

from __future__ import annotations

from search.config.schema import ProxyConfig
from search.costs.costs import PARTS
from search.data.photographs import CROP
from space.architecture import Architecture
from space.bitstream.tiling import TILE
from space.lowering.networks import figures_of, lower_segments

BASE_BYTES = 620e6
"""Memory of a worker that has loaded torch and the data of a run, without what it shares."""
BYTES_PER_WEIGHT = 2.5, 10.0
"""Bytes for each weight of a codec that is measured, and of one that is trained as well."""
BYTES_PER_VALUE = 6.5
"""Bytes that training keeps for each value that a layer puts out, gradients included."""


def memory_bytes(architecture: Architecture, proxy: ProxyConfig) -> float:
    """Estimated memory, in bytes, of the worker that trains and measures a codec.

    The constants were fitted to measured peaks (`benchmarks/memory.md`), which are from 15 % below
    to 9 % above the estimate. Crops are measured one at a time, so that measuring needs little.
    """
    tables = [lower_segments(part, figures_of(architecture)) for part in PARTS.values()]
    weights = sum(table.totals()["parameters"].item() for table in tables)
    needed = BASE_BYTES + weights * BYTES_PER_WEIGHT[proxy.steps > 0]
    if proxy.steps:
        # Op lists are those of a tile, with values of two bytes.
        values = sum(table.out_bytes.sum() for table in tables) / 2 * (CROP / TILE) ** 2
        needed += proxy.batch * values * BYTES_PER_VALUE
    return float(needed)
