"""Losses of a training step.

`tiling` and `text` are PICO's two terms for errors that whole-image metrics miss (arXiv 2605.05148,
section 3): L1 errors per image, in units where one 8-bit step is 1/255.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from search.metrics.loss import distortion
from space.codec.codec import RATE_WEIGHTS, Coded

DISTORTION_FLOOR = 1e-6
"""Mean squared error added before taking the logarithm; it is below what eight bits can show."""
BLURS_PX = (8, 16, 32, 64)
"""Sides of the squares whose means are compared, in px. The eye sees errors at these scales across
the seam between two tiles."""


def objective(coded: Coded, image: Tensor, level: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Rate-distortion loss of a batch; `weights` are the metric weights of `distortion`."""
    return rate_distortion(distortion(image, coded.image, weights), coded, level)


def rate_distortion(error: Tensor, coded: Coded, level: Tensor) -> Tensor:
    """Mean over a batch of (bpp + lambda * error) / sqrt(lambda), for errors [N] at levels [N].

    The division makes high and low rates contribute equally.
    """
    weight = RATE_WEIGHTS.to(error.device)[level]
    bpp = coded.bits / coded.image[0, 0].numel()
    return ((bpp + weight * error) / weight.sqrt()).mean()


def log_distortion(decoded: Tensor, image: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Mean logarithm of the distortion, in which all images of fixed rate count equally."""
    return (distortion(image, decoded, weights) + DISTORTION_FLOOR).log().mean()


def tiling(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean over the resolutions `BLURS_PX` of the L1 error [N] of images [N, 3, H, W].

    Sides must be at least 64 px. Tiles are coded independently; if the errors of two neighbours
    have no low frequencies, their seam is invisible.
    """
    error = reconstruction - original
    levels = [functional.avg_pool2d(error, side).abs().mean(dim=(1, 2, 3)) for side in BLURS_PX]
    return sum(levels[1:], levels[0]) / len(levels)


def text(original: Tensor, reconstruction: Tensor, mask: Tensor) -> Tensor:
    """L1 error [N] of images [N, 3, H, W] where `mask` [N, H, W] is 1.

    The mean is over all pixels of the image, not over those of the text, so that an image with more
    text has more weight.
    """
    error = (reconstruction - original).abs().mean(dim=1)
    return (error * mask).mean(dim=(1, 2))
