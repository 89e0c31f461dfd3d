"""PCA initialisation: it makes a codec a working transform codec before any training.

The transform is a Haar pyramid. Its subbands at strides 4, 8 and 16 are rotated to their principal
components, which are fitted once on photographs. Residual branches start at zero, so that the rest
of the transforms, the trunk, is a slice of one orthonormal transform in every architecture. Sigma
starts at the standard deviation of the data, and the hyper-latent at the local log-magnitude. The
quantisation step of each channel and level starts where rate plus distortion is smallest. It is
then made finer where quantisation errors are more visible.
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
from space.codec.blocks import ConvScale, Downsampling, Upsampling, haar_basis
from space.codec.codec import RATE_WEIGHTS, Codec
from space.codec.context import split_groups
from space.codec.perceptual_steps import perceptual_log_steps
from space.codec.scales import ScalePath

MID_GREY = 0.5
"""Value that the initialised analysis transform subtracts from images in [0, 1]."""
MAX_LATENT = 320
"""Number of principal components kept at stride 16. Further latent channels start at zero."""
INITIALISATION_CROPS = 128
"""Number of training crops that suffice to fit the initialisation."""
HYPER_BANDS = 6
"""Largest number of bands into which the latent channels are divided for the hyper-latent.

Each band's local log-magnitude is the initial value of one hyper-latent channel.
"""
HYPER_LOG_STEP = 0.5
"""Initial quantisation step of the hyper-latent, as a change of the log of the local magnitude."""
HINGES = (0.1, 0.3, 0.9, 2.7)
"""Magnitudes at which the slope of the piecewise linear logarithm changes.

The initial hyper-encoder approximates the logarithm in this way.
"""
LAST_KNOT = 8.0
"""Magnitude at which the last segment of the piecewise linear logarithm meets the logarithm."""
SIGMA_FLOOR = 1e-3
"""Smallest initial standard deviation of a latent channel, for images in [0, 1]."""
MAX_STEP_FACTOR = 8.0
"""Largest initial quantisation step, as a multiple of the optimal step at high rate."""
MEAN_MAGNITUDE = 0.7
"""Assumed ratio of the mean of |x| to the standard deviation of a latent channel x.

The ratio is 0.71 for a Laplacian and 0.80 for a Gaussian.
"""


@dataclass(frozen=True)
class Components:
    """Principal components of the subbands at one stride, in order of falling variance."""

    basis: NDArray[np.float32]
    """Components [kept, subbands] as orthonormal rows."""
    sigma: NDArray[np.float32]
    """Standard deviation [kept] of each component, at least SIGMA_FLOOR."""


@dataclass(frozen=True)
class Initialisation:
    """The principal components at strides 4, 8 and 16, from which codecs are initialised.

    All 48 components are kept at stride 4, all 192 at stride 8, and MAX_LATENT of 768 at stride 16.
    """

    stride4: Components
    stride8: Components
    stride16: Components

    @cached_property
    def components(self) -> Tensor:
        """The components at stride 16 as RGB images [MAX_LATENT, 3, 16, 16] of norm 1.

        In an untrained codec, a symbol of a latent channel adds a multiple of the channel's image
        to the decoded image.
        """
        images = torch.einsum("cd,bij->cbdij", torch.eye(3), haar_basis(2)).flatten(0, 1)
        images = torch.einsum("kc,cdij->kdij", torch.from_numpy(self.stride4.basis), images)
        for components in (self.stride8, self.stride16):
            basis = torch.from_numpy(components.basis).unflatten(1, (len(images), 4))
            images = torch.einsum("kcb,bij,cdyx->kdiyjx", basis, haar_basis(1), images)
            images = images.flatten(4, 5).flatten(2, 3)
        return images

    def synthesis_only(self, architecture: Architecture) -> bool:
        """Return False: the encoder and the entropy model need training too."""
        return False

    def start(self, architecture: Architecture) -> Codec:
        """A new codec of `architecture`, set to this initialisation."""
        return start_from(Codec(architecture), self)


def fit_initialisation(crops: Iterable[Tensor]) -> Initialisation:
    """Fit the principal components to crops [3, H, W] in [0, 1] with sides of multiples of 16."""
    images = [crop[None] - MID_GREY for crop in crops]
    fitted = []
    for depth, keep in ((2, 48), (1, 192), (1, MAX_LATENT)):
        images = [_subbands(image, depth) for image in images]
        components = _principal_components(images, keep)
        rotation = torch.from_numpy(components.basis)[:, :, None, None]
        images = [F.conv2d(image, rotation) for image in images]
        fitted.append(components)
    return Initialisation(*fitted)


def _subbands(image: Tensor, depth: int) -> Tensor:
    channels = image.shape[1]
    kernel = haar_basis(depth)[:, None].repeat(channels, 1, 1, 1)
    return F.conv2d(image, kernel, stride=2**depth, groups=channels)


def _principal_components(images: list[Tensor], keep: int) -> Components:
    """The `keep` directions with the largest second moments."""
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
def start_from(codec: Codec, initialisation: Initialisation) -> Codec:
    """Set the trunk and the entropy model of `codec` to the initialisation, in place.

    The trunk is the transforms without their residual branches. Returns `codec`.
    """
    _start_trunk(codec, initialisation)
    log_step = starting_log_steps(codec.architecture, initialisation)
    codec.decoder.context.step.log_scale.copy_(log_step)
    codec.scale_path.base.log_scale.copy_(-log_step)
    _start_context(codec, log_step[LEVELS // 2])
    _start_hyperprior(codec)
    return codec


def _start_trunk(codec: Codec, initialisation: Initialisation) -> None:
    """Initialise the transforms so that every channel is a component of unit variance."""
    chain = (initialisation.stride4, initialisation.stride8, initialisation.stride16)
    gains = [torch.from_numpy(components.sigma) for components in chain]
    input_gains = [torch.ones(3 * 16), *(gain.repeat_interleave(4) for gain in gains[:2])]
    encoder = (3, *(chain.C for chain in codec.architecture.encoder))
    decoder = (3, *(chain.C for chain in reversed(codec.architecture.decoder)))
    downs = cast("list[Downsampling]", list(codec.analysis.downs))
    ups = cast("list[Upsampling]", list(reversed(list(codec.decoder.synthesis.ups))))
    for i, (components, gain, before) in enumerate(zip(chain, gains, input_gains, strict=True)):
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
    """Kernel [components, channels, 2**depth, 2**depth] of a matrix on Haar subbands.

    `matrix` is cropped or zero-padded to [components, channels * 4**depth].
    """
    fitted = torch.zeros(components, channels * 4**depth)
    rows, columns = (min(a, b) for a, b in zip(fitted.shape, matrix.shape, strict=True))
    fitted[:rows, :columns] = matrix[:rows, :columns]
    return torch.einsum("kcb,bij->kcij", fitted.unflatten(1, (-1, 4**depth)), haar_basis(depth))


def _decoded_std(architecture: Architecture, initialisation: Initialisation) -> Tensor:
    """Standard deviation [M] that each latent channel contributes to the decoded image.

    Narrow decoder chains drop a part of some components, and narrow chains of either half drop
    whole components. No bits should be spent on what is dropped.
    """
    width16, width8, width4 = (chain.C for chain in architecture.decoder)
    stride8 = torch.from_numpy(initialisation.stride8.basis)[:width8, : 4 * width4]
    kept = min(architecture.latent_channels, architecture.encoder[-1].C, width16)
    stride16 = torch.from_numpy(initialisation.stride16.basis)[:kept, : 4 * len(stride8)]
    patterns = stride16.unflatten(1, (-1, 4))
    energy = torch.einsum("kcb,cd,kdb->k", patterns, stride8 @ stride8.T, patterns)
    std = torch.zeros(architecture.latent_channels)
    std[: len(energy)] = torch.from_numpy(initialisation.stride16.sigma)[:kept] * energy.sqrt()
    return std.clamp(min=SIGMA_FLOOR)


def starting_log_steps(architecture: Architecture, initialisation: Initialisation) -> Tensor:
    """Log of the initial quantisation step [levels, M] of each latent channel.

    The step minimises lambda * MSE + bpp and is then changed by `perceptual_log_steps`. At high
    rate the best step, measured in the decoded image, is sqrt(18 / (lambda * ln 2)). A latent
    channel has unit variance, and its standard deviation in the decoded image is `_decoded_std`.
    """
    sigma = _decoded_std(architecture, initialisation)
    high_rate = torch.sqrt(18 / (RATE_WEIGHTS * math.log(2)))[:, None]
    steps = torch.log(high_rate * best_step_factor(sigma / high_rate) / sigma)
    change = perceptual_log_steps(initialisation.components[: steps.shape[1]])
    steps[:, : len(change)] += change
    return steps


def best_step_factor(ratio: Tensor) -> Tensor:
    """Best quantisation step for a Laplacian, as a multiple of the optimal step at high rate.

    `ratio` is the Laplacian's standard deviation divided by the optimal step at high rate. If this
    step is wide compared with the distribution, an even wider step saves more in rate than it costs
    in distortion. The result is at most MAX_STEP_FACTOR.
    """
    grid, factors = _best_step_factors()
    place = torch.bucketize(ratio, grid).clamp(max=len(grid) - 1)
    return factors[place]


@cache
def _best_step_factors() -> tuple[Tensor, Tensor]:
    """A grid of ratios [97], and the best factor [97] for each ratio."""
    factors = torch.logspace(0, math.log10(MAX_STEP_FACTOR), 33)
    grid = torch.logspace(-2, 1, 97)
    scale = grid[:, None, None] / math.sqrt(2)
    quantiles = -torch.log1p(-(torch.arange(2000) + 0.5) / 2000) * scale
    step = factors[None, :, None]
    distortion = (quantiles - (quantiles / step).round() * step).square().mean(dim=-1)
    decay = torch.exp(-step / scale)[..., 0]
    outside = torch.exp(-step / (2 * scale))[..., 0]
    # A symbol is coded as a zero flag, then a sign and a geometric magnitude.
    bits = _binary_entropy(outside) + outside * (1 + _binary_entropy(decay) / (1 - decay))
    # At the high-rate optimum of step 1, D = 1 / 12 and dD/dR = -ln(2) / 6.
    best = (distortion + bits * math.log(2) / 6).argmin(dim=1)
    return grid, factors[best]


def _binary_entropy(probability: Tensor) -> Tensor:
    """Entropy, in bits, of an event of this probability."""
    p = probability.clamp(1e-7, 1 - 1e-7)
    return -(p * torch.log2(p) + (1 - p) * torch.log2(1 - p))


def _start_context(codec: Codec, log_step: Tensor) -> None:
    """Scale the context's inputs by their standard deviations, where these exceed a step.

    In units of the step the deviations reach from 1 to 100. The largest channels would dominate all
    others, and the first updates of the heads would change the mean by many steps.
    """
    context = codec.decoder.context
    deviation = torch.exp(-log_step)[None, :, None, None].expand(-1, -1, 2, 2)
    groups = [group[:, :, 0, 0] for group in split_groups(deviation, context.pattern)]
    for before, conv in enumerate(cast("list[ConvScale]", list(context.decoded)), start=1):
        deviations = torch.cat(groups[:before], dim=1)[..., None, None]
        scale = torch.rsqrt(1 + deviations.square())
        if codec.architecture.scales == "none":
            conv.weight.mul_(scale)
        else:
            conv.scale_in.copy_(scale)


def _start_hyperprior(codec: Codec) -> None:
    """Let hyper-latent channel g be the log of the mean magnitude of band g."""
    hyper = codec.analysis.hyper
    latent, channels = codec.architecture.latent_channels, codec.architecture.hyper_channels
    bands = min(HYPER_BANDS, channels // 2, latent)
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
    """Let sigma follow the log-magnitudes; `band_of` [bands, M] assigns channels to bands."""
    bands, latent = band_of.shape
    # The first subband alone gives every pixel 2**-HYPER_DEPTH of its value.
    gain = HYPER_LOG_STEP * 2**HYPER_DEPTH * band_of.T
    up = path.up.conv.weight.view(latent, 4**HYPER_DEPTH, -1)
    up.zero_()
    if path.hidden is None:
        up[:, 0, :bands] = gain
        return
    # The rectified value and the rectified negative together keep the signed value.
    path.hidden.weight[: 2 * bands] = 0
    for sign, first in ((1, 0), (-1, bands)):
        path.hidden.weight[range(first, first + bands), range(bands), 1, 1] = sign
        up[:, 0, first : first + bands] = sign * gain


def _low_pass(analysis: Downsampling, matrix: Tensor, first_column: int = 0) -> None:
    """Set a one-level Haar analysis to average 2x2 blocks and mix channels by `matrix`."""
    weight = analysis.conv.weight
    weight.zero_()
    rows, columns = matrix.shape
    subbands = weight.view(len(weight), -1, 4)
    subbands[:rows, first_column : first_column + columns, 0] = matrix / 2


def _piecewise_logarithm() -> tuple[Tensor, float]:
    """Slope changes at the hinges, and the offset, of log(m) as a sum of rectified lines."""
    knots = torch.tensor([*HINGES, LAST_KNOT])
    slopes = torch.diff(torch.log(knots)) / torch.diff(knots)
    return torch.diff(slopes, prepend=torch.zeros(1)), math.log(HINGES[0])
