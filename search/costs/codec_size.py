"""Size on disk of one half of a codec: its Core ML network, the scale path and the coder's tables.

The network is stored in float16. Both halves need the scale path and the tables, which are stored
as by `space.bitstream.model_file`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latency_predictor.ops import BYTES_PER_VALUE
from space.architecture import LEVELS
from space.lowering.networks import Figures

TABLE_BYTES = 804_352
"""Bytes of `payload.Tables`: 128 tables of up to 1,569 cumulative frequencies in 32 bits."""
_WIDE = 8
"""Bytes of each integer of the scale path that is not a weight; a weight takes one byte."""


def scale_path_bytes(
    weights: NDArray[np.float64], outputs: NDArray[np.float64], figures: Figures
) -> NDArray[np.float64]:
    """Size in bytes of a stored `scales.IntegerScales`.

    `weights` is the number of weights of its layers, `outputs` the number of their output channels,
    each of which has a bias and a factor. Its two tables have an entry per level and channel.
    """
    entries = LEVELS * (figures["latent_channels"] + figures["hyper_channels"])
    return np.asarray(weights + _WIDE * (2 * outputs + entries))


def size_mb(
    parameters: NDArray[np.float64], scale_path_bytes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Size in MB of a half whose network has this number of `parameters`."""
    return (BYTES_PER_VALUE * parameters + scale_path_bytes + TABLE_BYTES) / 1e6
