"""Breakdown of the predicted time of codecs: by stage of the network, and by kind of op."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latency_predictor import LatencyModel
from latency_predictor.interface import feature_sums
from latency_predictor.model.roofline import Cost, cost_of
from search.costs.codec_latency import TILES_12MP, Half
from search.costs.costs import PARTS
from space.architecture import Architecture
from space.lowering.networks import Figures, Segment, figures_of, lower_segments

STAGES: dict[Half, tuple[str, ...]] = {
    "decode": (
        "context decoder",
        "context model",
        "latent to decoder.16",
        "decoder.16 blocks",
        "upsampling 16 to 8",
        "decoder.8 blocks",
        "upsampling 8 to 4",
        "decoder.4 blocks",
        "upsampling 4 to 1",
    ),
    "encode": (
        "downsampling 1 to 4",
        "encoder.4 blocks",
        "downsampling 4 to 8",
        "encoder.8 blocks",
        "downsampling 8 to 16",
        "encoder.16 blocks",
        "encoder.16 to latent",
        "hyper-encoder",
        "context decoder",
        "context model",
    ),
}
"""Names of the segments of both networks, in the order of `PARTS`.

The context decoder computes the prior from the hyper-latent. The context model refines it step by
step from the symbols, and quantises or dequantises the latent. The numbers are strides relative to
the image.
"""
KINDS = {
    Cost.POINTWISE: "1x1 convolution",
    Cost.CONV3X3: "3x3 convolution",
    Cost.CONV: "strided convolution",
    Cost.GROUPED: "grouped convolution",
    Cost.DEPTHWISE: "depthwise convolution",
    Cost.TRANSPOSED_CONV: "transposed convolution",
    Cost.MATMUL: "matrix product",
    Cost.POOL: "pooling",
    Cost.ELEMENTWISE: "elementwise",
    Cost.NORM: "normalisation",
    Cost.RESIZE: "resizing",
    Cost.REGROUP: "concatenation or pixel shuffle",
    Cost.TRANSPOSE: "transpose or channel shuffle",
}
"""Name of each class of ops. A codec's convolutions of other sizes than 1x1 and 3x3 are strided."""


@dataclass(frozen=True)
class Breakdown:
    """Parts of the predicted time of one half of n codecs, in ms for 12 megapixels.

    The parts of a codec, `op_ms` and `fixed_ms`, add up to `decode_ms` or `encode_ms` of
    `search.costs.costs`.
    """

    stages: tuple[str, ...]
    """Names of the stages, in order of execution."""
    kinds: tuple[str, ...]
    """Names of the kinds of ops that occur in any of the codecs."""
    op_ms: NDArray[np.float64]
    """Time [n, stages, kinds] of the ops. The time of an op includes its dispatch."""
    fixed_ms: NDArray[np.float64]
    """Time [n] that belongs to no op: the predicted time less the sum of the ops' own times.

    For the shipped latency model it is the fixed time per run of a program, which is equal for all
    codecs. A latency model that is not additive in the times of ops has its whole remainder here.
    """

    @property
    def by_stage_ms(self) -> NDArray[np.float64]:
        """Time [n, stages] of the ops of each stage."""
        return self.op_ms.sum(axis=2)

    @property
    def by_kind_ms(self) -> NDArray[np.float64]:
        """Time [n, kinds] of the ops of each kind."""
        return self.op_ms.sum(axis=1)

    @property
    def total_ms(self) -> NDArray[np.float64]:
        """Predicted time [n] of this half."""
        return self.op_ms.sum(axis=(1, 2)) + self.fixed_ms


def breakdowns(
    architectures: Sequence[Architecture], model: LatencyModel, device: str
) -> dict[Half, Breakdown]:
    """Break down the predicted time of both halves of one or more architectures.

    Raises `UnknownDevice` if the latency model does not know the device.
    """
    figures = figures_of(*architectures)
    return {half: _breakdown(half, figures, model, device) for half in STAGES}


def _breakdown(half: Half, figures: Figures, model: LatencyModel, device: str) -> Breakdown:
    by_segment = [_sums(segment, figures, model, device) for segment in PARTS[half]]
    totals = sum(sums.sum(axis=1) for sums in by_segment)
    op_ms = np.stack([sums[:, :, 0] for sums in by_segment], axis=1)
    occurring = np.flatnonzero(op_ms.any(axis=(0, 1)))
    predicted_ms = model.from_sums(np.asarray(totals), device).ms
    return Breakdown(
        STAGES[half],
        tuple(KINDS[Cost(kind)] for kind in occurring),
        TILES_12MP * op_ms[:, :, occurring],
        TILES_12MP * (predicted_ms - op_ms.sum(axis=(1, 2))),
    )


def _sums(
    segment: Segment, figures: Figures, model: LatencyModel, device: str
) -> NDArray[np.float64]:
    """Sums of op features over one tile's ops of each class in a segment: [n, classes, features].

    The ops of one class in one architecture are priced as a program of their own.
    """
    table = lower_segments([segment], figures)
    program = table.program * len(Cost) + cost_of(table)
    split = replace(table, program=program, programs=table.programs * len(Cost))
    return feature_sums(model, split, device).reshape(table.programs, len(Cost), -1)
