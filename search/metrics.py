"""Quality metrics of a reconstruction: higher is better for every one of them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import piq
import ssimulacra2
import torch
from PIL import Image
from torch import Tensor

Metric = Callable[[Tensor, Tensor], float]
"""Original and reconstruction [3, H, W] in [0, 1], sides of at least 161 px, to a number."""


def psnr(original: Tensor, reconstruction: Tensor) -> float:
    """Peak signal-to-noise ratio in dB."""
    return float(-10 * torch.log10((original - reconstruction).square().mean()))


def ms_ssim(original: Tensor, reconstruction: Tensor) -> float:
    """Multi-scale SSIM in dB, -10 log10(1 - MS-SSIM): linear enough to interpolate."""
    value = piq.multi_scale_ssim(reconstruction[None], original[None])
    return float(-10 * torch.log10(1 - value))


def haarpsi(original: Tensor, reconstruction: Tensor) -> float:
    """HaarPSI in [0, 1] (Reisenhofer et al., 2018)."""
    return float(piq.haarpsi(reconstruction[None], original[None]))


def ssimulacra2_score(original: Tensor, reconstruction: Tensor) -> float:
    """SSIMULACRA2: 90 is visually lossless at 1:1, 70 high, 50 medium, 30 low quality."""
    return float(ssimulacra2.compute_ssimulacra2(_file(original), _file(reconstruction)))


def _file(image: Tensor) -> BytesIO:
    file = BytesIO()
    to_pillow(image).save(file, "PNG", compress_level=0)
    return file


def to_pillow(image: Tensor) -> Image.Image:
    """8-bit image of a tensor [3, H, W] in [0, 1]."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels.cpu().numpy()))


METRICS: dict[str, Metric] = {
    "ssimulacra2": ssimulacra2_score,
    "ms_ssim": ms_ssim,
    "haarpsi": haarpsi,
    "psnr": psnr,
}
