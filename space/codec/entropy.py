"""The hyper-encoder, and the rate of symbols during training."""

from __future__ import annotations

import math

import torch
from compressai.ops import LowerBound
from torch import Tensor, nn

from space.architecture import Architecture
from space.codec.blocks import ConvScale, downsampling
from space.codec.scales import SIGMA_MIN

REACH = 5.0
"""Distance from the mean, in standard deviations, beyond which a symbol's cost no longer grows.

The cost at this distance is 22 bits, about that of the coder's escape code. Symbols farther out
still have a gradient, so that training learns from outliers.
"""


class HyperEncoder(nn.Module):
    """Maps a latent [B, M, H, W] to its hyper-latent [B, N, H/4, W/4].

    The first layer receives the values and the magnitudes of the latent. The ReLU after the second
    layer makes it possible to approximate logarithms of magnitudes.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        latent, hyper = architecture.latent_channels, architecture.hyper_channels
        self.down = downsampling(2 * latent, hyper, "haar")
        self.hidden = downsampling(hyper, 2 * hyper, "haar")
        self.out = ConvScale(2 * hyper, hyper)

    def forward(self, latent: Tensor) -> Tensor:
        both = torch.cat((latent, latent.abs()), dim=1)
        z: Tensor = self.out(torch.relu(self.hidden(self.down(both))))
        return z


class Rate(nn.Module):
    """Bits of rounded symbols under a zero-mean Gaussian, for training.

    The number of bits, and its gradient with respect to sigma, are those of the rounded symbols.
    Rounding has no useful gradient, so the gradient with respect to the symbols is computed with
    uniform noise in place of rounding, as usual. If the bits were also computed with noise, sigma
    would become too large where nearly all symbols are zero, because it would cover the noise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.floor = LowerBound(SIGMA_MIN)

    def forward(self, symbols: Tensor, sigma: Tensor) -> Tensor:
        """Bits [B] of unrounded `symbols` under Gaussians of standard deviation `sigma`."""
        sigma = self.floor(sigma)
        bits = _bits(symbols.detach().round(), sigma)
        noisy = _bits(symbols + torch.rand_like(symbols) - 0.5, sigma.detach())
        return (bits + noisy - noisy.detach()).flatten(1).sum(dim=1)


def _bits(symbols: Tensor, sigma: Tensor) -> Tensor:
    """-log2 of a Gaussian's mass within half a step of each symbol, in the log domain."""
    distance = symbols.abs()
    farthest = (0.5 + REACH * sigma).detach()
    distance = distance * (farthest / distance.detach().clamp(min=1e-6)).clamp(max=1)
    inner = torch.special.log_ndtr((0.5 - distance) / sigma)
    outer = torch.special.log_ndtr((-0.5 - distance) / sigma)
    return (inner + torch.log1p(-torch.exp(outer - inner))) / -math.log(2)
