"""End-to-end time of a codec: the networks on the accelerator and coding on the CPU, pipelined.

PICO (arXiv 2605.05148, section 3) codes the symbols of one tile on the CPU while the accelerator
runs the networks of another. Each works on one tile at a time. When encoding, the networks of a
tile run first; when decoding, the CPU does.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from space.architecture import HYPER_STRIDE, LATENT_STRIDE
from space.bitstream.tiling import TILE
from space.lowering.networks import Figures

Half = Literal["decode", "encode"]
"""The two halves of a codec: decoder and encoder."""

TILES_12MP = 48
"""Number of tiles of a 4032x3024 photograph: 8x6 at a stride of 504 px (PICO, section 3)."""
SYMBOLS_PER_MS: dict[Half, float] = {"decode": 119_000, "encode": 67_500}
"""Number of symbols of latent and hyper-latent that the rANS coder processes per millisecond at
quality 4. Symbols of skipped blocks are included.

Measured by `benchmarks/coding_speed.py` with two briefly trained models on four photographs, on one
thread of a server's processor (AMD EPYC, Zen 4), for calls of the coder alone. This project's own
code takes two to four times as long because of Python's lists. No phone's CPU was measured.
"""
SCALE_MACS_PER_MS = 1.2e8
"""Number of multiply-accumulates of the scale path that a CPU computes per millisecond in UINT8.

Measured by `benchmarks/coding_speed.py` with torch's quantised convolutions, on the same processor
as `SYMBOLS_PER_MS`. This project's own code computes the scale path in 64 bits instead, and takes
thirty times as long.
"""


def symbols_per_tile(figures: Figures) -> NDArray[np.int64]:
    """Number of symbols of the latent and hyper-latent of one tile, including zeros."""
    latent = figures["latent_channels"] * (TILE // LATENT_STRIDE) ** 2
    hyper = figures["hyper_channels"] * (TILE // HYPER_STRIDE) ** 2
    return np.asarray(latent + hyper)


def cpu_ms(half: Half, symbols: NDArray[Any], scale_macs: NDArray[Any]) -> NDArray[np.float64]:
    """CPU time per tile, in ms.

    It is the time to code `symbols` symbols and to compute `scale_macs` multiply-accumulates of the
    scale path.
    """
    return np.asarray(symbols / SYMBOLS_PER_MS[half] + scale_macs / SCALE_MACS_PER_MS)


def pipelined_ms(
    tiles: int, network_ms: NDArray[np.float64], coding_ms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Time to code one or more `tiles`, in ms.

    Each tile needs the accelerator for `network_ms` and the CPU for `coding_ms`, one after the
    other. The first tile takes the sum of both times, and every further tile the longer of both.
    """
    return network_ms + coding_ms + (tiles - 1) * np.maximum(network_ms, coding_ms)
