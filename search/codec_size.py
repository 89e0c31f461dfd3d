"""What one half of a codec takes on disk: its network as Core ML stores it, and what codes symbols.

A network is float16; the scale path and the tables are stored as `space.model` stores them, and
either half needs them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latency_predictor.ops import BYTES_PER_VALUE
from space.architecture import LEVELS
from space.lowering import Figures

TABLE_BYTES = 804_352
"""`payload.Tables`: 128 tables of up to 1,569 cumulative frequencies in 32 bits."""
_WIDE = 8
"""Bytes of the scale path's integers that are no weights; the weights take one."""


def scale_path_bytes(
    weights: NDArray[np.float64], outputs: NDArray[np.float64], figures: Figures
) -> NDArray[np.float64]:
    """Bytes of `scales.IntegerScales`.

    `weights` are those of its layers, `outputs` their output channels, which have a bias and a
    factor each; its two tables have an entry per level and channel.
    """
    entries = LEVELS * (figures["latent_channels"] + figures["hyper_channels"])
    return np.asarray(weights + _WIDE * (2 * outputs + entries))


def size_mb(
    parameters: NDArray[np.float64], scale_path_bytes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Megabytes of a half whose network has so many `parameters`."""
    return (BYTES_PER_VALUE * parameters + scale_path_bytes + TABLE_BYTES) / 1e6
