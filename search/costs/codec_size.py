"""Size on disk of one half of a codec: its Core ML network, the scale path and the coder's tables.

The network is stored in float16. Each half contains the scale path and the tables, stored as in the
file that `space.bitstream.model_file` writes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latency_predictor.ops import BYTES_PER_VALUE
from space.architecture import LEVELS
from space.lowering.networks import Figures

TABLE_BYTES = 804_352
"""Bytes of `space.entropy_coding.tables.Tables`: for each of 128 tables, a length, an offset and up
to 1,569 cumulative frequencies, all in 32 bits."""
_WIDE = 8
"""Bytes of each integer of the scale path that is no weight. A weight takes one byte."""


def scale_path_bytes(
    weights: NDArray[np.float64], outputs: NDArray[np.float64], figures: Figures
) -> NDArray[np.float64]:
    """Size in bytes of a stored scale path, a `space.codec.scales.IntegerScales`.

    The layers of the scale path have `weights` weights and `outputs` output channels in total. Each
    output channel has a bias and a factor. The scale path also has two tables, one for the latent
    and one for the hyper-latent, with an entry per quality level and channel.
    """
    entries = LEVELS * (figures["latent_channels"] + figures["hyper_channels"])
    return np.asarray(weights + _WIDE * (2 * outputs + entries))


def size_mb(
    parameters: NDArray[np.float64], scale_path_bytes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Size in MB of one half of a codec.

    `parameters` is the number of parameters of the half's network, and `scale_path_bytes` is the
    size of the scale path.
    """
    return (BYTES_PER_VALUE * parameters + scale_path_bytes + TABLE_BYTES) / 1e6
