"""PSNR and the hand-made similarities of structure that piq implements."""

from __future__ import annotations

import torch
from torch import Tensor

from search.metrics.interface import Metric, decibels, decibels_below_one, same

LEAST_ERROR = 1e-12
"""Mean squared error below which PSNR stays at 120 dB; one pixel off by one is 8e-11 at 256x256."""
DITHER = 1e-4
"""A fortieth of a step of eight bits."""


def squared_error(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean squared error [N]."""
    return (original - reconstruction).square().mean(dim=(1, 2, 3))


def psnr(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB [N]."""
    return -10 * torch.log10(squared_error(original, reconstruction).clamp(min=LEAST_ERROR))


def ms_ssim(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Multi-scale SSIM [N], mean over R, G and B (Wang et al., 2003)."""
    import piq

    return piq.multi_scale_ssim(reconstruction.clamp(0, 1), original, reduction="none")


def haarpsi(original: Tensor, reconstruction: Tensor) -> Tensor:
    """HaarPSI [N] (Reisenhofer et al., 2018)."""
    import piq

    score = piq.haarpsi(reconstruction.clamp(0, 1), original, reduction="none")
    # Of two equal images piq's logit may overflow: they have the score 1 by definition.
    equal = (original == reconstruction).flatten(1).all(dim=1)
    return torch.where(equal, 1.0, score)


def ms_gmsd(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Chromatic multi-scale gradient magnitude similarity deviation [N] (Zhang et al., 2017)."""
    import piq

    return piq.multi_scale_gmsd(
        reconstruction.clamp(0, 1), original, reduction="none", chromatic=True
    )


def ms_ssim_loss(original: Tensor, reconstruction: Tensor) -> Tensor:
    """1 - MS-SSIM [N]."""
    return 1 - ms_ssim(original, reconstruction)


def haarpsi_loss(original: Tensor, reconstruction: Tensor) -> Tensor:
    """1 - HaarPSI [N], of a dithered reconstruction."""
    import piq

    return 1 - piq.haarpsi(_dithered(reconstruction), original, reduction="none")


def ms_gmsd_loss(original: Tensor, reconstruction: Tensor) -> Tensor:
    """MS-GMSD [N] of a dithered reconstruction."""
    return ms_gmsd(original, _dithered(reconstruction))


def _dithered(image: Tensor) -> Tensor:
    """The image and a fixed pattern that keeps piq's roots and logits off their singular points.

    Without it a flat area or an image that equals its original has a gradient that is no number.
    """
    generator = torch.Generator().manual_seed(0)
    pattern = torch.rand(image.shape[1:], generator=generator).to(image.device)
    return image.clamp(0, 1) * (1 - DITHER) + DITHER * pattern


PSNR = Metric(
    name="psnr",
    label="PSNR (dB)",
    higher_is_better=True,
    best=120.0,
    seconds_per_mpx=0.01,
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
    seconds_per_mpx=0.6,
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
    seconds_per_mpx=0.2,
    score=haarpsi,
    scale=decibels_below_one,
    loss=haarpsi_loss,
)
MS_GMSD = Metric(
    name="ms_gmsd",
    label="MS-GMSD (dB)",
    higher_is_better=False,
    best=0.0,
    seconds_per_mpx=0.2,
    score=ms_gmsd,
    scale=decibels,
    loss=ms_gmsd_loss,
    min_side=17,
)
