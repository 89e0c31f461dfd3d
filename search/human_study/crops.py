"""Crops of photographs at their own resolution."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.ndimage import uniform_filter

from search.bench.anchors import Pixels

CHOICES = ("detailed", "central")
"""Places of a crop in a photograph: where the detail is largest, or the middle."""
STEP = 16
"""Distance in pixels between the places that `detailed` compares."""


def crop(pixels: Pixels, width: int, height: int, choice: str) -> Pixels:
    """A crop [height, width, 3] of an image [H, W, 3], which is at least as large.

    Detail is the mean absolute difference between horizontal and vertical neighbours.
    """
    spare_y, spare_x = pixels.shape[0] - height, pixels.shape[1] - width
    if choice == "central":
        top, left = spare_y // 2, spare_x // 2
    else:
        top, left = _most_detailed(pixels, width, height)
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def _most_detailed(pixels: Pixels, width: int, height: int) -> tuple[int, int]:
    """Top and left of the crop with the largest detail among those at multiples of STEP."""
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    detail = np.abs(np.diff(luma, axis=0, append=luma[-1:]))
    detail += np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
    means = uniform_filter(detail, (height, width), mode="constant")
    # The mean of a crop is at its centre.
    places = product(
        range(0, pixels.shape[0] - height + 1, STEP), range(0, pixels.shape[1] - width + 1, STEP)
    )
    return max(places, key=lambda at: float(means[at[0] + height // 2, at[1] + width // 2]))
