"""Batches of random crops at random quality levels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from search.data.photographs import CROP, Crops
from space.architecture import LEVELS
from space.pixels import to_floats

PATCHES = 2
"""Patches per side of a crop. If only the synthesis transform is trained, `PATCHES`**2 patches of
different crops take the place of each crop of a batch."""


def batch(
    crops: Crops, size: int, rng: np.random.Generator, device: torch.device, patches: bool
) -> tuple[Tensor, Tensor]:
    """Draw a batch: random images in [0, 1], and a random quality level for each.

    The images are whole crops [size, 3, CROP, CROP]. If `patches` is true, they are as many pixels
    in smaller patches: [size * PATCHES**2, 3, CROP / PATCHES, CROP / PATCHES].
    """
    if patches:
        size, side = size * PATCHES**2, CROP // PATCHES
        corners = rng.integers(CROP - side + 1, size=(size, 2))
        chosen = zip(rng.integers(len(crops), size=size), *corners.T, strict=True)
        pixels = np.stack([crops[i, :, y : y + side, x : x + side] for i, y, x in chosen])
    else:
        pixels = crops[rng.integers(len(crops), size=size)]
    return to_tensor(pixels, device), torch.from_numpy(rng.integers(LEVELS, size=size)).to(device)


def to_tensor(crops: Crops, device: torch.device) -> Tensor:
    """Crops as a float tensor [n, 3, H, W] in [0, 1], in channels-last layout."""
    return to_floats(crops).to(device, memory_format=torch.channels_last)
