"""Losses of a training step.

`tiling` and `text` are PICO's two terms for errors that metrics of the whole image miss (arXiv
2605.05148, section 3). Both are L1 errors per image, in units where one 8-bit step is 1/255.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from search.metrics.loss import distortion
from space.codec.codec import RATE_WEIGHTS, Coded

DISTORTION_FLOOR = 1e-6
"""Constant added to a distortion before its logarithm is taken. As a mean squared error, it is
smaller than eight bits can show."""
BLURS_PX = (8, 16, 32, 64)
"""Sides, in px, of the squares whose means `tiling` compares. The eye sees errors at these scales
across the seam between two tiles."""


def objective(coded: Coded, image: Tensor, level: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Rate-distortion loss of a batch. `weights` are the weights of metrics in `distortion`."""
    return rate_distortion(distortion(image, coded.image, weights), coded, level)


def rate_distortion(
    error: Tensor, coded: Coded, level: Tensor, lambdas: Tensor = RATE_WEIGHTS
) -> Tensor:
    """Mean of (bpp + lambda * error) / sqrt(lambda) over the images of a batch.

    `error` [N] are the images' distortions. `level` [N] are their quality levels, each of which has
    one of `lambdas` [LEVELS]. The division by sqrt(lambda) makes high and low rates contribute
    equally.
    """
    weight = lambdas.to(error.device)[level]
    bpp = coded.bits / coded.image[0, 0].numel()
    return ((bpp + weight * error) / weight.sqrt()).mean()


def log_distortion(decoded: Tensor, image: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Mean logarithm of the distortion over a batch, a loss for images whose rates are fixed.

    The logarithm makes images of high and low distortion count equally.
    """
    return (distortion(image, decoded, weights) + DISTORTION_FLOOR).log().mean()


def tiling(original: Tensor, reconstruction: Tensor) -> Tensor:
    """L1 error [N] of the low frequencies of images [N, 3, H, W].

    Errors are averaged over squares with each of the sides `BLURS_PX`, and the L1 errors of these
    means are averaged over the sides. Images must have sides of at least 64 px. Tiles are coded
    independently; the seam between two tiles is invisible if the errors of both have no low
    frequencies.
    """
    error = reconstruction - original
    levels = [functional.avg_pool2d(error, side).abs().mean(dim=(1, 2, 3)) for side in BLURS_PX]
    return sum(levels[1:], levels[0]) / len(levels)


def text(original: Tensor, reconstruction: Tensor, mask: Tensor) -> Tensor:
    """L1 error [N] of images [N, 3, H, W] in the pixels where `mask` [N, H, W] is 1.

    The mean is over all pixels of an image, and pixels outside the text count as 0. An image with
    more text therefore has more weight.
    """
    error = (reconstruction - original).abs().mean(dim=1)
    return (error * mask).mean(dim=(1, 2))
