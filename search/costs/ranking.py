"""Which of two codecs decodes faster on one phone, and how certain that is.

All intervals are those of networks of one family that are measured alike (`LatencyModel.compare`).
All functions raise `UnknownDevice` if the latency model does not know the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latency_predictor import LatencyModel
from latency_predictor.interface import Ratio, feature_sums
from search.costs.costs import PARTS
from space.architecture import Architecture
from space.lowering.networks import figures_of, lower_segments


def decode_ratios(architectures: Sequence[Architecture], model: LatencyModel, device: str) -> Ratio:
    """Ratios of the decode times of all pairs of one or more architectures.

    All arrays have shape [architectures, architectures]; row i and column j hold the time of i
    divided by that of j.
    """
    sums, size = _decode_sums(architectures, model, device), len(architectures)
    first, second = np.divmod(np.arange(size**2), size)
    pairs = model.compare(sums[first], sums[second], device)
    return Ratio(
        *(array.reshape(size, size) for array in (pairs.ratio, pairs.low, pairs.high, pairs.faster))
    )


def decode_ratios_to(
    reference: Architecture, architectures: Sequence[Architecture], model: LatencyModel, device: str
) -> Ratio:
    """Ratios of the architectures' decode times to the reference's: shape [architectures]."""
    sums = _decode_sums([reference, *architectures], model, device)
    return model.compare(sums[1:], np.broadcast_to(sums[:1], sums[1:].shape), device)


def decode_ratios_to_next(
    architectures: Sequence[Architecture], model: LatencyModel, device: str
) -> Ratio:
    """Ratios of each decode time to that of the next architecture: shape [architectures - 1]."""
    sums = _decode_sums(architectures, model, device)
    return model.compare(sums[:-1], sums[1:], device)


def _decode_sums(
    architectures: Sequence[Architecture], model: LatencyModel, device: str
) -> NDArray[np.float64]:
    """Summed features of each decoder: [architectures, features]."""
    table = lower_segments(PARTS["decode"], figures_of(*architectures))
    return feature_sums(model, table, device)
