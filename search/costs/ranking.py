"""Which of two codecs decodes faster on one phone, and how certain that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latency_predictor import LatencyModel
from latency_predictor.interface import Ratio, feature_sums
from search.costs.costs import PARTS
from space.architecture import Architecture
from space.lowering.networks import figures_of, lower_segments


def decode_ratios(architectures: Sequence[Architecture], model: LatencyModel, device: str) -> Ratio:
    """Ratios of the decode times of all pairs of one or more architectures.

    All arrays have shape [architectures, architectures]; row i and column j hold the time of i
    divided by that of j. The intervals are those of networks of one family that are measured alike
    (`LatencyModel.compare`). Raises `UnknownDevice` if the latency model does not know the device.
    """
    table = lower_segments(PARTS["decode"], figures_of(*architectures))
    sums, size = feature_sums(model, table, device), len(architectures)
    first, second = np.divmod(np.arange(size**2), size)
    pairs = model.compare(sums[first], sums[second], device)
    return Ratio(
        *(array.reshape(size, size) for array in (pairs.ratio, pairs.low, pairs.high, pairs.faster))
    )
