"""The identity start: a codec that is a working transform codec before any training.

The Haar pyramid is the skeleton. At strides 4, 8 and 16 the subbands that arrive are rotated to
their principal components, fitted once on photographs; residual branches start at zero, so the
trunk of every architecture is a slice of one orthonormal transform. Sigma starts at the data's own
standard deviation, the hyper-latent at the local log-magnitude, and the quantisation step at the
high-rate optimum of each level.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from space.blocks import HaarAnalysis, HaarSynthesis, ScaledWeight, haar_basis
from space.codec import LEVELS, RATE_WEIGHTS, Codec

MID_GREY = 0.5
"""What the skeleton codes differences from."""
MAX_LATENT = 256
"""Principal components kept at stride 16; wider latents start with zero channels."""
BANDS = 6
"""Groups of latent channels whose local log-magnitude the hyper-latent starts with."""
LOG_STEP = 0.5
"""Step of the hyper-latent at the start, in nats of local magnitude."""
HINGES = (0.1, 0.3, 0.9, 2.7)
"""Knots of the piecewise linear logarithm; the last segment points at `LAST_KNOT`."""
LAST_KNOT = 8.0
SIGMA_FLOOR = 1e-3
"""Smallest starting sigma of a latent channel, on the scale of images in [0, 1]."""
MEAN_MAGNITUDE = 0.7
"""Mean of |x| over its standard deviation: between a Laplacian's 0.71 and a Gaussian's 0.80."""


@dataclass(frozen=True)
class Skeleton:
    """Principal components (rows, by falling variance) of Haar subbands at each stride.

    `stride4` is [48, 48], `stride8` [192, 192], `stride16` [MAX_LATENT, 768]; `sigma`
    [MAX_LATENT] is the standard deviation of the stride-16 components.
    """

    stride4: NDArray[np.float32]
    stride8: NDArray[np.float32]
    stride16: NDArray[np.float32]
    sigma: NDArray[np.float32]


def fit_skeleton(crops: Iterable[Tensor]) -> Skeleton:
    """Fit the skeleton on crops [3, H, W] in [0, 1], sides multiples of 16."""
    images = [crop[None] - MID_GREY for crop in crops]
    bases: list[Tensor] = []
    sigma = torch.empty(0)
    for depth, keep in ((2, 48), (1, 192), (1, MAX_LATENT)):
        images = [_subbands(image, depth) for image in images]
        rotation, sigma = _principal_components(images)
        bases.append(rotation[:keep])
        images = [F.conv2d(image, rotation[:keep, :, None, None]) for image in images]
    first, second, third = (basis.numpy() for basis in bases)
    return Skeleton(first, second, third, sigma[:MAX_LATENT].numpy())


def _subbands(image: Tensor, depth: int) -> Tensor:
    channels = image.shape[1]
    kernel = haar_basis(depth)[:, None].repeat(channels, 1, 1, 1)
    return F.conv2d(image, kernel, stride=2**depth, groups=channels)


def _principal_components(images: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of falling variance about zero, and the standard deviation along each."""
    second_moment = torch.zeros(())
    positions = 0
    for image in images:
        columns = image.flatten(2)[0].double()
        second_moment = second_moment + columns @ columns.T
        positions += columns.shape[1]
    variances, vectors = torch.linalg.eigh(second_moment / positions)
    return vectors.flip(1).T.float(), variances.flip(0).clamp(min=0).sqrt().float()


@torch.no_grad()
def start_from(codec: Codec, skeleton: Skeleton) -> Codec:
    """Set the codec's trunk and entropy model, in place, to the skeleton."""
    latent = codec.architecture.latent_channels
    sigma = torch.zeros(latent)
    kept = min(latent, len(skeleton.sigma))
    sigma[:kept] = torch.from_numpy(skeleton.sigma[:kept])
    sigma.clamp_(min=SIGMA_FLOOR)
    _start_trunk(codec, skeleton)
    _start_steps(codec, sigma)
    _start_hyperprior(codec, sigma)
    return codec


def _start_trunk(codec: Codec, skeleton: Skeleton) -> None:
    bases = [skeleton.stride4, skeleton.stride8, skeleton.stride16]
    downs = cast("list[HaarAnalysis]", list(codec.analysis.downs))
    ups = cast("list[HaarSynthesis]", list(codec.decoder.synthesis.ups))
    for down, basis in zip(downs, bases, strict=True):
        _set_block(down.conv, torch.from_numpy(basis))
    for up, basis in zip(ups, reversed(bases), strict=True):
        _set_block(up.conv, torch.from_numpy(basis).T)
    for head in (codec.analysis.head, codec.decoder.synthesis.head):
        _set_block(head, torch.eye(max(head.weight.shape[:2])))
    downs[0].conv.bias.copy_(-MID_GREY * downs[0].folded_weight().sum(dim=(1, 2, 3)))
    ups[-1].bias.fill_(MID_GREY)


def _set_block(conv: ScaledWeight, matrix: Tensor) -> None:
    """Put the leading block of `matrix` where it fits and zeros elsewhere."""
    weight = torch.zeros(conv.weight.shape[:2])
    rows, columns = (min(a, b) for a, b in zip(weight.shape, matrix.shape, strict=True))
    weight[:rows, :columns] = matrix[:rows, :columns]
    conv.weight.copy_(weight[:, :, None, None])


def _start_steps(codec: Codec, sigma: Tensor) -> None:
    """High-rate optimum of lambda * MSE + bpp: step**2 = 18 / (lambda * ln 2)."""
    log_step = 0.5 * torch.log(18 / (RATE_WEIGHTS * math.log(2)))[:, None]
    codec.decoder.context.step.log_scale.copy_(log_step.expand(LEVELS, len(sigma)))
    codec.scale_decoder.base.log_scale.copy_(torch.log(sigma)[None] - log_step)


def _start_hyperprior(codec: Codec, sigma: Tensor) -> None:
    """Hyper-latent channel g: log of the mean magnitude of band g, relative to sigma."""
    hyper, scales = codec.analysis.hyper, codec.scale_decoder
    latent, channels = len(sigma), codec.architecture.hyper_channels
    bands = min(BANDS, channels // 2, latent)
    band_of = (torch.arange(latent) * bands // latent)[None] == torch.arange(bands)[:, None]
    membership = band_of / band_of.sum(dim=1, keepdim=True)

    _low_pass(hyper.down.conv, membership / (MEAN_MAGNITUDE * sigma), first_column=latent)
    _low_pass(hyper.hidden.conv, torch.eye(bands).repeat_interleave(len(HINGES), dim=0))
    slopes, offset = _piecewise_logarithm()
    hyper.hidden.conv.bias[: bands * len(HINGES)] = -torch.tensor(HINGES).repeat(bands)
    hyper.out.weight[:bands] = 0
    for band in range(bands):
        hyper.out.weight[band, band * len(HINGES) : (band + 1) * len(HINGES), 0, 0] = slopes
    hyper.out.weight[:bands] /= LOG_STEP
    hyper.out.bias[:bands] = offset / LOG_STEP
    hyper.out.weight[bands:] = 0

    scales.hidden.weight[: 2 * bands] = 0
    for band in range(bands):
        scales.hidden.weight[2 * band, band, 1, 1] = 1
        scales.hidden.weight[2 * band + 1, band, 1, 1] = -1
    up = scales.up.conv.weight.view(latent, -1, 2 * channels)
    up.zero_()
    signs = torch.tensor([LOG_STEP, -LOG_STEP]).repeat(bands)
    mean_gain = 2.0 ** (up.shape[1] // 8)
    up[:, 0, : 2 * bands] = band_of.T.repeat_interleave(2, dim=1) * signs * mean_gain
    codec.log_hyper_sigma[:bands] = math.log(0.6 / LOG_STEP)
    codec.log_hyper_sigma[bands:] = math.log(0.2)


def _low_pass(conv: ScaledWeight, matrix: Tensor, first_column: int = 0) -> None:
    """Make a one-level Haar analysis average each 2x2 block and mix channels by `matrix`."""
    conv.weight.zero_()
    subbands = conv.weight.view(conv.weight.shape[0], -1, 4)
    rows, columns = matrix.shape
    subbands[:rows, first_column : first_column + columns, 0] = matrix / 2


def _piecewise_logarithm() -> tuple[Tensor, float]:
    """Changes of slope at the hinges and the offset of log(m) as a sum of rectified lines."""
    knots = torch.tensor([*HINGES, LAST_KNOT])
    slopes = torch.diff(torch.log(knots)) / torch.diff(knots)
    return torch.diff(slopes, prepend=torch.zeros(1)), math.log(HINGES[0])
