"""Conversion of 8-bit samples to floats in [0, 1], and of floats back to 8-bit pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_floats(
    samples: NDArray[np.uint8],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Convert 8-bit samples of any shape to floats in [0, 1]. The memory layout is kept."""
    # The copy is for torch, which warns of arrays that are read-only.
    return torch.from_numpy(samples.copy(order="K")).to(device, dtype) / 255


def to_batch(
    pixels: NDArray[np.uint8],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Convert 8-bit pixels [H, W, 3] to a batch [1, 3, H, W] of floats in [0, 1]."""
    return to_floats(pixels, device, dtype)[None].permute(0, 3, 1, 2)


def to_pixels(image: Tensor) -> NDArray[np.uint8]:
    """Convert a float image [3, H, W] to 8-bit pixels [H, W, 3].

    Values are clipped to [0, 1], multiplied by 255 and rounded.
    """
    samples = (image.clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    return samples.permute(1, 2, 0).numpy()
