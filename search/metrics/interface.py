"""Interface of metrics: score, direction, scale and training loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from latency_predictor.errors import UserError

Measure = Callable[[Tensor, Tensor], Tensor]
"""Maps originals and reconstructions to one number per pair [N].

Both arguments are images [N, 3, H, W] in sRGB, from 0 to 1."""


class MetricError(UserError):
    """A metric is unknown or not installed, or cannot compare the given images."""


@dataclass(frozen=True)
class Metric:
    """A quality metric of reconstructions against their originals."""

    name: str
    label: str
    """Axis label of `quality`, with its unit."""
    higher_is_better: bool
    best: float
    """Score of a reconstruction that equals its original."""
    score: Measure
    scale: Callable[[float], float]
    """Maps a score to a finite number that rises with quality. BD-rates interpolate the rate over
    this number."""
    loss: Measure | None = None
    """Training loss, which is at least 0 and falls with quality. If the original lies in [0, 1],
    its gradients are finite, even if both images are equal. None if the metric is never used as a
    loss."""
    min_side: int = 16
    """Smallest height and width, in pixels, of images that the metric compares."""

    @property
    def differentiable(self) -> bool:
        """Whether the metric has a training loss."""
        return self.loss is not None

    def __call__(self, original: Tensor, reconstruction: Tensor) -> Tensor:
        """Score [N] of images [N, 3, H, W] in sRGB, from 0 to 1.

        Raises MetricError if the images have other shapes, or a side below `min_side`.
        """
        self.check(original, reconstruction)
        return self.score(original, reconstruction)

    def quality(self, score: float) -> float:
        """The number that `scale` maps a score to; it is finite and rises with quality."""
        return self.scale(score)

    def check(self, original: Tensor, reconstruction: Tensor) -> None:
        """Raise MetricError if the metric cannot compare these images."""
        shape = tuple(original.shape)
        if shape != tuple(reconstruction.shape) or len(shape) != 4 or shape[1] != 3:
            raise MetricError(
                f"{self.name} of {shape} and {tuple(reconstruction.shape)}: expected two equal "
                f"shapes (N, 3, height, width)"
            )
        if min(shape[2:]) < self.min_side:
            raise MetricError(
                f"{self.name} of {shape[2]}x{shape[3]} pixels: expected sides of at least "
                f"{self.min_side}"
            )


def same(score: float) -> float:
    """Identity scale, for scores over which rate can be interpolated directly."""
    return score


def decibels_below_one(score: float) -> float:
    """-10 log10(1 - score), at most 80 dB, for a similarity whose best score is 1."""
    return -10 * math.log10(max(1 - score, 1e-8))


def decibels(distance: float) -> float:
    """-10 log10(distance), at most 80 dB, for a distance whose best score is 0."""
    return -10 * math.log10(max(distance, 1e-8))
