"""The identity start: a codec that is a working transform codec before any training.

The Haar pyramid is the skeleton. At strides 4, 8 and 16 the subbands that arrive are rotated to
their principal components, fitted once on photographs; residual branches start at zero, so the
trunk of every architecture is a slice of one orthonormal transform. Sigma starts at the data's own
standard deviation, the hyper-latent at the local log-magnitude, and the quantisation step of each
channel and level where rate plus distortion is least, made finer where people would see its error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from space.architecture import HYPER_DEPTH, LEVELS, Architecture
from space.blocks import ConvScale, Downsampling, Upsampling, haar_basis
from space.codec import RATE_WEIGHTS, Codec
from space.context import split
from space.perceptual_steps import perceptual_log_steps
from space.scales import ScalePath

MID_GREY = 0.5
"""What the skeleton codes differences from."""
MAX_LATENT = 256
"""Principal components kept at stride 16; wider latents start with zero channels."""
SKELETON_CROPS = 128
"""Training crops that are enough to fit it on."""
BANDS = 6
"""Groups of latent channels whose local log-magnitude the hyper-latent starts with."""
HYPER_LOG_STEP = 0.5
"""Step of the hyper-latent at the start, in nats of local magnitude."""
HINGES = (0.1, 0.3, 0.9, 2.7)
"""Knots of the piecewise linear logarithm; the last segment points at `LAST_KNOT`."""
LAST_KNOT = 8.0
SIGMA_FLOOR = 1e-3
"""Smallest starting sigma of a latent channel, on the scale of images in [0, 1]."""
MAX_STEP_FACTOR = 8.0
"""Widest starting step, as a multiple of the high-rate optimum."""
MEAN_MAGNITUDE = 0.7
"""Mean of |x| over its standard deviation: between a Laplacian's 0.71 and a Gaussian's 0.80."""


@dataclass(frozen=True)
class Components:
    """Principal components of what arrives at one stride: rows of `basis` by falling `sigma`."""

    basis: NDArray[np.float32]
    """Orthonormal rows [kept, arriving]."""
    sigma: NDArray[np.float32]
    """Standard deviation [kept] of each component, at least SIGMA_FLOOR."""


@dataclass(frozen=True)
class Skeleton:
    """Components at strides 4 (48 of 48), 8 (192 of 192) and 16 (MAX_LATENT of 768)."""

    stride4: Components
    stride8: Components
    stride16: Components

    @cached_property
    def components(self) -> Tensor:
        """What one unit of each latent channel adds to an image: [MAX_LATENT, 3, 16, 16]."""
        images = torch.einsum("cd,bij->cbdij", torch.eye(3), haar_basis(2)).flatten(0, 1)
        images = torch.einsum("kc,cdij->kdij", torch.from_numpy(self.stride4.basis), images)
        for components in (self.stride8, self.stride16):
            basis = torch.from_numpy(components.basis).unflatten(1, (len(images), 4))
            images = torch.einsum("kcb,bij,cdyx->kdiyjx", basis, haar_basis(1), images)
            images = images.flatten(4, 5).flatten(2, 3)
        return images

    def settled(self, architecture: Architecture) -> bool:
        """Nothing is trained yet."""
        return False

    def start(self, architecture: Architecture) -> Codec:
        """A codec that starts from this skeleton."""
        return start_from(Codec(architecture), self)


def fit_skeleton(crops: Iterable[Tensor]) -> Skeleton:
    """Fit the skeleton on crops [3, H, W] in [0, 1], sides multiples of 16."""
    images = [crop[None] - MID_GREY for crop in crops]
    fitted = []
    for depth, keep in ((2, 48), (1, 192), (1, MAX_LATENT)):
        images = [_subbands(image, depth) for image in images]
        components = _principal_components(images, keep)
        rotation = torch.from_numpy(components.basis)[:, :, None, None]
        images = [F.conv2d(image, rotation) for image in images]
        fitted.append(components)
    return Skeleton(*fitted)


def _subbands(image: Tensor, depth: int) -> Tensor:
    channels = image.shape[1]
    kernel = haar_basis(depth)[:, None].repeat(channels, 1, 1, 1)
    return F.conv2d(image, kernel, stride=2**depth, groups=channels)


def _principal_components(images: list[Tensor], keep: int) -> Components:
    """The `keep` directions of largest second moment."""
    second_moment = torch.zeros(())
    positions = 0
    for image in images:
        columns = image.flatten(2)[0].double()
        second_moment = second_moment + columns @ columns.T
        positions += columns.shape[1]
    variances, vectors = torch.linalg.eigh(second_moment / positions)
    sigma = variances.flip(0)[:keep].clamp(min=SIGMA_FLOOR**2).sqrt()
    basis = vectors.flip(1).T[:keep].contiguous()
    return Components(basis.float().numpy(), sigma.float().numpy())


@torch.no_grad()
def start_from(codec: Codec, skeleton: Skeleton) -> Codec:
    """Set the codec's trunk and entropy model, in place, to the skeleton."""
    _start_trunk(codec, skeleton)
    log_step = starting_log_steps(codec.architecture, skeleton)
    codec.decoder.context.step.log_scale.copy_(log_step)
    codec.scale_path.base.log_scale.copy_(-log_step)
    _start_context(codec, log_step[LEVELS // 2])
    _start_hyperprior(codec)
    return codec


def _start_trunk(codec: Codec, skeleton: Skeleton) -> None:
    """Between resampling steps every channel is a component of unit variance."""
    chain = (skeleton.stride4, skeleton.stride8, skeleton.stride16)
    gains = [torch.from_numpy(components.sigma) for components in chain]
    arriving = [torch.ones(3 * 16), *(gain.repeat_interleave(4) for gain in gains[:2])]
    encoder = (3, *(chain.C for chain in codec.architecture.encoder))
    decoder = (3, *(chain.C for chain in reversed(codec.architecture.decoder)))
    downs = cast("list[Downsampling]", list(codec.analysis.downs))
    ups = cast("list[Upsampling]", list(reversed(list(codec.decoder.synthesis.ups))))
    for i, (components, gain, before) in enumerate(zip(chain, gains, arriving, strict=True)):
        basis, gain = torch.from_numpy(components.basis), gain[:, None]
        depth = 2 if i == 0 else 1
        down = _kernel(basis * before / gain, encoder[i + 1], encoder[i], depth)
        downs[i].start(down)
        if i == 0:
            downs[i].conv.bias.copy_(-MID_GREY * down.flatten(1).sum(dim=1))
        ups[i].start(_kernel(basis / before * gain, decoder[i + 1], decoder[i], depth))
    for head in (codec.analysis.head, codec.decoder.synthesis.head):
        head.weight.copy_(torch.eye(*head.weight.shape[:2])[:, :, None, None])
    ups[0].bias.fill_(MID_GREY)


def _kernel(matrix: Tensor, components: int, channels: int, depth: int) -> Tensor:
    """Kernel [components, channels, 2**depth, 2**depth] of a matrix over Haar subbands.

    `matrix` is [components, channels * 4**depth], cut or filled with zeros to that shape.
    """
    fitted = torch.zeros(components, channels * 4**depth)
    rows, columns = (min(a, b) for a, b in zip(fitted.shape, matrix.shape, strict=True))
    fitted[:rows, :columns] = matrix[:rows, :columns]
    return torch.einsum("kcb,bij->kcij", fitted.unflatten(1, (-1, 4**depth)), haar_basis(depth))


def _worth(architecture: Architecture, skeleton: Skeleton) -> Tensor:
    """Standard deviation [latent] that each latent channel brings to the decoded image.

    Narrow chains of the decoder drop part of a component, those of either half whole components;
    what is dropped must not be paid for.
    """
    width16, width8, width4 = (chain.C for chain in architecture.decoder)
    stride8 = torch.from_numpy(skeleton.stride8.basis)[:width8, : 4 * width4]
    kept = min(architecture.latent_channels, architecture.encoder[-1].C, width16)
    stride16 = torch.from_numpy(skeleton.stride16.basis)[:kept, : 4 * len(stride8)]
    patterns = stride16.unflatten(1, (-1, 4))
    energy = torch.einsum("kcb,cd,kdb->k", patterns, stride8 @ stride8.T, patterns)
    worth = torch.zeros(architecture.latent_channels)
    worth[: len(energy)] = torch.from_numpy(skeleton.stride16.sigma)[:kept] * energy.sqrt()
    return worth.clamp(min=SIGMA_FLOOR)


def starting_log_steps(architecture: Architecture, skeleton: Skeleton) -> Tensor:
    """Log of the step [levels, M] of each latent channel.

    It minimises lambda * MSE + bpp but for what `perceptual_log_steps` changes. At high rate
    step**2 = 18 / (lambda * ln 2) in the image, where a channel of unit variance has the standard
    deviation that it is worth.
    """
    sigma = _worth(architecture, skeleton)
    high_rate = torch.sqrt(18 / (RATE_WEIGHTS * math.log(2)))[:, None]
    steps = torch.log(high_rate * best_step_factor(sigma / high_rate) / sigma)
    seen = perceptual_log_steps(skeleton.components[: steps.shape[1]])
    steps[:, : len(seen)] += seen
    return steps


def best_step_factor(ratio: Tensor) -> Tensor:
    """Best quantisation step of a Laplacian, as a multiple of the high-rate optimum.

    `ratio` is its standard deviation over that optimum. Rounding to the nearest is wasteful where
    the step is wide against the distribution; there a wider step still, up to MAX_STEP_FACTOR,
    costs less than it saves.
    """
    grid, factors = _best_step_factors()
    place = torch.bucketize(ratio, grid).clamp(max=len(grid) - 1)
    return factors[place]


@cache
def _best_step_factors() -> tuple[Tensor, Tensor]:
    """Ratios [97] and the best factor [97] of each."""
    factors = torch.logspace(0, math.log10(MAX_STEP_FACTOR), 33)
    grid = torch.logspace(-2, 1, 97)
    scale = grid[:, None, None] / math.sqrt(2)
    quantiles = -torch.log1p(-(torch.arange(2000) + 0.5) / 2000) * scale
    step = factors[None, :, None]
    distortion = (quantiles - (quantiles / step).round() * step).square().mean(dim=-1)
    decay = torch.exp(-step / scale)[..., 0]
    outside = torch.exp(-step / (2 * scale))[..., 0]
    # Zero, then a sign and a geometric magnitude.
    bits = _binary_entropy(outside) + outside * (1 + _binary_entropy(decay) / (1 - decay))
    # At the high-rate optimum of step 1, D = 1 / 12 and dD/dR = -ln(2) / 6.
    best = (distortion + bits * math.log(2) / 6).argmin(dim=1)
    return grid, factors[best]


def _binary_entropy(probability: Tensor) -> Tensor:
    """Bits of a coin of this probability."""
    p = probability.clamp(1e-7, 1 - 1e-7)
    return -(p * torch.log2(p) + (1 - p) * torch.log2(1 - p))


def _start_context(codec: Codec, log_step: Tensor) -> None:
    """Read decoded channels in units of their deviation, where it is more than a step.

    In units of the step, which reach from 1 to 100, the largest channels would drown all others,
    and the heads' first updates would be worth many steps.
    """
    context = codec.decoder.context
    deviation = torch.exp(-log_step)[None, :, None, None].expand(-1, -1, 2, 2)
    groups = [group[:, :, 0, 0] for group in split(deviation, context.pattern)]
    for before, conv in enumerate(cast("list[ConvScale]", list(context.decoded)), start=1):
        deviations = torch.cat(groups[:before], dim=1)[..., None, None]
        scale = torch.rsqrt(1 + deviations.square())
        if codec.architecture.scales == "none":
            conv.weight.mul_(scale)
        else:
            conv.scale_in.copy_(scale)


def _start_hyperprior(codec: Codec) -> None:
    """Hyper-latent channel g: log of the mean magnitude of band g."""
    hyper = codec.analysis.hyper
    latent, channels = codec.architecture.latent_channels, codec.architecture.hyper_channels
    bands = min(BANDS, channels // 2, latent)
    band_of = (torch.arange(latent) * bands // latent)[None] == torch.arange(bands)[:, None]
    membership = band_of / band_of.sum(dim=1, keepdim=True)

    _low_pass(hyper.down, membership / MEAN_MAGNITUDE, first_column=latent)
    _low_pass(hyper.hidden, torch.eye(bands).repeat_interleave(len(HINGES), dim=0))
    slopes, offset = _piecewise_logarithm()
    hyper.hidden.conv.bias[: bands * len(HINGES)] = -torch.tensor(HINGES).repeat(bands)
    hyper.out.weight[:bands] = 0
    for band in range(bands):
        hyper.out.weight[band, band * len(HINGES) : (band + 1) * len(HINGES), 0, 0] = slopes
    hyper.out.weight[:bands] /= HYPER_LOG_STEP
    hyper.out.bias[:bands] = offset / HYPER_LOG_STEP
    hyper.out.weight[bands:] = 0
    _start_scales(codec.scale_path, band_of)
    codec.scale_path.meta_prior.log_scale[:, :bands] = math.log(0.6 / HYPER_LOG_STEP)
    codec.scale_path.meta_prior.log_scale[:, bands:] = math.log(0.2)


def _start_scales(path: ScalePath, band_of: Tensor) -> None:
    """Read log-magnitudes back; `band_of` [bands, M] says which channels are of which band."""
    bands, latent = band_of.shape
    # A channel whose subbands are zero but the first has 2**-HYPER_DEPTH of it in every pixel.
    gain = HYPER_LOG_STEP * 2**HYPER_DEPTH * band_of.T
    up = path.up.conv.weight.view(latent, 4**HYPER_DEPTH, -1)
    up.zero_()
    if path.hidden is None:
        up[:, 0, :bands] = gain
        return
    # Rectified, a number and its negative keep what the number was.
    path.hidden.weight[: 2 * bands] = 0
    for sign, first in ((1, 0), (-1, bands)):
        path.hidden.weight[range(first, first + bands), range(bands), 1, 1] = sign
        up[:, 0, first : first + bands] = sign * gain


def _low_pass(analysis: Downsampling, matrix: Tensor, first_column: int = 0) -> None:
    """Make a one-level Haar analysis average each 2x2 block and mix channels by `matrix`."""
    weight = analysis.conv.weight
    weight.zero_()
    rows, columns = matrix.shape
    subbands = weight.view(len(weight), -1, 4)
    subbands[:rows, first_column : first_column + columns, 0] = matrix / 2


def _piecewise_logarithm() -> tuple[Tensor, float]:
    """Changes of slope at the hinges and the offset of log(m) as a sum of rectified lines."""
    knots = torch.tensor([*HINGES, LAST_KNOT])
    slopes = torch.diff(torch.log(knots)) / torch.diff(knots)
    return torch.diff(slopes, prepend=torch.zeros(1)), math.log(HINGES[0])
