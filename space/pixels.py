"""Samples of eight bits as floats in [0, 1], and back."""

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
    """8-bit samples of any shape as floats in [0, 1], in the same memory layout."""
    # The copy is for torch, which warns of arrays that are read-only.
    return torch.from_numpy(samples.copy(order="K")).to(device, dtype) / 255


def to_pixels(image: Tensor) -> NDArray[np.uint8]:
    """Pixels [H, W, 3] of an image [3, H, W], which is clipped to [0, 1] and rounded."""
    samples = (image.clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    return samples.permute(1, 2, 0).numpy()
