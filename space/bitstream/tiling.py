"""Tiles of an image, and the conversion between images and coded tiles.

As in PICO (arXiv 2605.05148, section 3), every pixel of an image belongs to the content of exactly
one tile. Each tile is coded with a margin of pixels from its neighbours, so that both sides of a
seam see the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from space.architecture import HYPER_STRIDE

STRIDE = 504
"""Side of a full tile's content, without margins, px."""
MARGIN = 4
"""Width of the margin that is coded on every side of a tile's content, px."""
TILE = STRIDE + 2 * MARGIN
"""Side of a full tile with its margins, px."""


@dataclass(frozen=True)
class Tile:
    """Position and size of one tile's content, px. The sides of the content are 1 to STRIDE."""

    top: int
    left: int
    height: int
    width: int

    @property
    def coded_height(self) -> int:
        """Height of the coded tile, px, which is at most TILE.

        This is the height of the content with margins, rounded up to a multiple of HYPER_STRIDE.
        """
        return _aligned(self.height)

    @property
    def coded_width(self) -> int:
        """Width of the coded tile, px, which is at most TILE.

        This is the width of the content with margins, rounded up to a multiple of HYPER_STRIDE.
        """
        return _aligned(self.width)


def count(height: int, width: int) -> int:
    """Number of tiles of an image of `height` x `width` px."""
    return ceil(height / STRIDE) * ceil(width / STRIDE)


def grid(height: int, width: int) -> list[Tile]:
    """Tiles of an image of `height` x `width` px, row by row."""
    return [
        Tile(top, left, min(STRIDE, height - top), min(STRIDE, width - left))
        for top in range(0, height, STRIDE)
        for left in range(0, width, STRIDE)
    ]


def cut(pixels: NDArray[np.uint8], tile: Tile) -> NDArray[np.uint8]:
    """Cut the pixels [coded_height, coded_width, 3] of a coded tile from an image [H, W, 3].

    The coded tile includes the margins. Beyond the image, its border pixels are repeated.
    """
    rows = np.arange(tile.coded_height) + tile.top - MARGIN
    columns = np.arange(tile.coded_width) + tile.left - MARGIN
    height, width, _ = pixels.shape
    return pixels[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))]


def content(decoded: NDArray[np.uint8], tile: Tile) -> NDArray[np.uint8]:
    """Cut the content [height, width, 3] of a tile from its decoded pixels.

    `decoded` is [coded_height, coded_width, 3] and includes the margins.
    """
    return decoded[MARGIN : MARGIN + tile.height, MARGIN : MARGIN + tile.width]


def _aligned(side: int) -> int:
    return ceil((side + 2 * MARGIN) / HYPER_STRIDE) * HYPER_STRIDE
