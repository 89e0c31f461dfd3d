"""PICO's two loss terms for errors that whole-image metrics miss (arXiv 2605.05148, section 3).

Each is an L1 error per image, in units where one 8-bit step is 1/255.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

BLURS_PX = (8, 16, 32, 64)
"""Sides of the squares whose means are compared, in px. The eye sees errors at these scales across
the seam between two tiles."""


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
