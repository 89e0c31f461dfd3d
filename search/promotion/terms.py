"""PICO's two terms against what metrics of whole pictures miss (arXiv 2605.05148, section 3).

Each is an L1 error per image, so that of a picture of eight bits 1/255 is a step.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

BLURS_PX = (8, 16, 32, 64)
"""Sides of the squares whose means are compared: what the eye follows across a tile's seam."""


def tiling(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean over resolutions of the L1 error [N] of images [N, 3, H, W], sides of 64 px or more.

    Two tiles are coded apart. Where the error of both has no low frequencies, nothing is seen at
    their seam.
    """
    error = reconstruction - original
    levels = [functional.avg_pool2d(error, side).abs().mean(dim=(1, 2, 3)) for side in BLURS_PX]
    return sum(levels[1:], levels[0]) / len(levels)


def text(original: Tensor, reconstruction: Tensor, mask: Tensor) -> Tensor:
    """L1 error [N] of images [N, 3, H, W] inside `mask` [N, H, W], of 0 and 1, over whole images.

    Per pixel of the image and not of the text, so that much text weighs more than little.
    """
    error = (reconstruction - original).abs().mean(dim=1)
    return (error * mask).mean(dim=(1, 2))
