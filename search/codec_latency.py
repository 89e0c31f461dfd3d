"""From the networks of a tile to what a user waits for: CPU and accelerator work in a pipeline.

PICO (arXiv 2605.05148, section 3) codes the symbols of one tile on the CPU while the accelerator
runs the networks of another. Both are busy with one tile at a time; to encode, the networks come
first, to decode, the CPU.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from space.architecture import HYPER_STRIDE, LATENT_STRIDE
from space.lowering import Figures
from space.tiling import TILE

Half = Literal["decode", "encode"]

TILES_12MP = 48
"""Tiles of a 4032x3024 photograph: 8x6 at stride 504 (PICO section 3)."""
SYMBOLS_PER_MS: dict[Half, float] = {"decode": 119_000, "encode": 67_500}
"""Symbols of latent and hyper-latent that the rANS coder passes at quality 4, those of skipped
blocks included.

From `benchmarks/coding_speed.py`: two briefly trained models on four photographs, one thread of a
server's processor (AMD EPYC, Zen 4), calls of the coder alone. This project's own code takes two to
four times as long, for Python's lists. Nobody has measured a phone's CPU at it.
"""
SCALE_MACS_PER_MS = 1.2e8
"""Multiply-accumulates of the scale path in UINT8, from the same place; this project's own code
counts in 64 bits and takes thirty times as long."""


def symbols_per_tile(figures: Figures) -> NDArray[np.int64]:
    """Symbols of the latent and the hyper-latent of one tile, whatever their value."""
    latent = figures["latent_channels"] * (TILE // LATENT_STRIDE) ** 2
    hyper = figures["hyper_channels"] * (TILE // HYPER_STRIDE) ** 2
    return np.asarray(latent + hyper)


def cpu_ms(half: Half, symbols: NDArray[Any], scale_macs: NDArray[Any]) -> NDArray[np.float64]:
    """CPU time per tile: entropy coding of its `symbols`, and the scale path's arithmetic."""
    return np.asarray(symbols / SYMBOLS_PER_MS[half] + scale_macs / SCALE_MACS_PER_MS)


def pipelined_ms(
    tiles: int, network_ms: NDArray[np.float64], coding_ms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Time until `tiles`, at least one, are done, of which each takes both in turn.

    The first tile fills the pipeline; from then on one is done whenever the slower of both is.
    """
    return network_ms + coding_ms + (tiles - 1) * np.maximum(network_ms, coding_ms)
