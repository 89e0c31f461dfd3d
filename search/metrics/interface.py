"""What a metric is: a score per image pair, its direction, cost, and what it costs to train on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Measure = Callable[[Tensor, Tensor], Tensor]
"""Original and reconstruction [N, 3, H, W] in [0, 1] sRGB to a number per pair [N]."""


class MetricError(ValueError):
    """A metric that is unknown or absent, or images that it cannot compare."""


@dataclass(frozen=True)
class Metric:
    """A quality metric of reconstructions against their originals."""

    name: str
    label: str
    """Axis label of `quality`, with its unit."""
    higher_is_better: bool
    best: float
    """Score of a reconstruction that equals its original."""
    seconds_per_mpx: float
    """Cost of a score on one CPU core, in seconds per million pixels of 256x256 crops."""
    score: Measure
    scale: Callable[[float], float]
    """Score to a finite number that rises with quality, on which rates are interpolated."""
    loss: Measure | None = None
    """At least 0, falls as quality rises, with finite gradients wherever the original lies in
    [0, 1], also where both images are equal. None for a metric that is never trained on."""
    min_side: int = 16
    """Least height and width in pixels."""

    @property
    def differentiable(self) -> bool:
        """Whether it may be trained on."""
        return self.loss is not None

    def __call__(self, original: Tensor, reconstruction: Tensor) -> Tensor:
        """Score [N] of images [N, 3, H, W] in [0, 1] sRGB.

        Raises MetricError for other shapes, or for sides below `min_side`.
        """
        self.check(original, reconstruction)
        return self.score(original, reconstruction)

    def quality(self, score: float) -> float:
        """A score on the scale for interpolation: finite, and rises with quality."""
        return self.scale(score)

    def check(self, original: Tensor, reconstruction: Tensor) -> None:
        """Raise MetricError for images that cannot be compared."""
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
    """Scale of a score that is fit for interpolation as it is."""
    return score


def decibels_below_one(score: float) -> float:
    """-10 log10(1 - score) of a similarity that reaches 1; at most 80 dB."""
    return -10 * math.log10(max(1 - score, 1e-8))


def decibels(distance: float) -> float:
    """-10 log10(distance) of a distance that reaches 0; at most 80 dB."""
    return -10 * math.log10(max(distance, 1e-8))
