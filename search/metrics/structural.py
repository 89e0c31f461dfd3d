"""PSNR, and the hand-crafted structural similarities that piq implements."""

from __future__ import annotations

import torch
from torch import Tensor

from search.metrics.interface import Metric, decibels, decibels_below_one, same

MIN_ERROR = 1e-12
"""Lower limit that `psnr` applies to the mean squared error, so that PSNR is at most 120 dB. For
comparison: if a single channel of a single pixel of a 256x256 image is off by one 8-bit level, the
mean squared error is 8e-11."""
DITHER = 1e-4
"""Amplitude of the dither that two training losses add to reconstructions. It is a fortieth of an
8-bit step."""


def squared_error(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean squared error [N] over the pixels and channels of an image."""
    return (original - reconstruction).square().mean(dim=(1, 2, 3))


def psnr(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Peak signal-to-noise ratio [N] in dB, at most 120 dB."""
    return -10 * torch.log10(squared_error(original, reconstruction).clamp(min=MIN_ERROR))


def ms_ssim(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Multi-scale SSIM [N], mean over R, G and B (Wang et al., 2003)."""
    import piq

    return piq.multi_scale_ssim(reconstruction.clamp(0, 1), original, reduction="none")


def haarpsi(original: Tensor, reconstruction: Tensor) -> Tensor:
    """HaarPSI [N] (Reisenhofer et al., 2018)."""
    import piq

    score = piq.haarpsi(reconstruction.clamp(0, 1), original, reduction="none")
    # The score of equal images is 1 by definition; piq's logit may overflow for them.
    equal = (original == reconstruction).flatten(1).all(dim=1)
    return torch.where(equal, 1.0, score)


def ms_gmsd(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Chromatic multi-scale gradient magnitude similarity deviation [N] (Zhang et al., 2017)."""
    import piq

    return piq.multi_scale_gmsd(
        reconstruction.clamp(0, 1), original, reduction="none", chromatic=True
    )


def ms_ssim_loss(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Training loss [N]: 1 - MS-SSIM."""
    return 1 - ms_ssim(original, reconstruction)


def haarpsi_loss(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Training loss [N]: 1 - HaarPSI of the reconstruction after dithering."""
    import piq

    return 1 - piq.haarpsi(_dithered(reconstruction), original, reduction="none")


def ms_gmsd_loss(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Training loss [N]: MS-GMSD of the reconstruction after dithering."""
    return ms_gmsd(original, _dithered(reconstruction))


def _dithered(image: Tensor) -> Tensor:
    """The image plus a fixed pattern that keeps piq's roots and logits off their singular points.

    Without it, flat areas and images that equal their original have NaN gradients.
    """
    generator = torch.Generator().manual_seed(0)
    pattern = torch.rand(image.shape[1:], generator=generator).to(image.device)
    return image.clamp(0, 1) * (1 - DITHER) + DITHER * pattern


PSNR = Metric(
    name="psnr",
    label="PSNR (dB)",
    higher_is_better=True,
    best=120.0,
    score=psnr,
    scale=same,
    loss=squared_error,
    min_side=1,
)
MS_SSIM = Metric(
    name="ms_ssim",
    label="MS-SSIM (dB)",
    higher_is_better=True,
    best=1.0,
    score=ms_ssim,
    scale=decibels_below_one,
    loss=ms_ssim_loss,
    min_side=161,
)
HAARPSI = Metric(
    name="haarpsi",
    label="HaarPSI (dB)",
    higher_is_better=True,
    best=1.0,
    score=haarpsi,
    scale=decibels_below_one,
    loss=haarpsi_loss,
)
MS_GMSD = Metric(
    name="ms_gmsd",
    label="MS-GMSD (dB)",
    higher_is_better=False,
    best=0.0,
    score=ms_gmsd,
    scale=decibels,
    loss=ms_gmsd_loss,
    min_side=17,
)
