"""The hyper-encoder, and the rate of symbols in training."""

from __future__ import annotations

import math

import torch
from compressai.ops import LowerBound
from torch import Tensor, nn

from space.architecture import Architecture
from space.blocks import ConvScale, downsampling
from space.scales import SIGMA_MIN

REACH = 5.0
"""Standard deviations beyond which symbols cost no more: 22 bits, about what the coder's escape
takes. Their gradients are those at this distance, so that outliers still teach."""


class HyperEncoder(nn.Module):
    """Latent [B, M, H, W] to hyper-latent [B, N, H/4, W/4].

    Sees the latent's values and magnitudes; the rectified layer lets it form logarithms.
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

    The value, and sigma's gradient, are those of the rounded symbols; the symbols' own gradient is
    that of the usual uniform noise, since rounding has none. Noise alone would teach sigma to pay
    for noise where nearly all symbols are zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.floor = LowerBound(SIGMA_MIN)

    def forward(self, symbols: Tensor, sigma: Tensor) -> Tensor:
        """Bits [batch] of unrounded `symbols` whose standard deviation is `sigma`."""
        sigma = self.floor(sigma)
        bits = _bits(symbols.detach().round(), sigma)
        noisy = _bits(symbols + torch.rand_like(symbols) - 0.5, sigma.detach())
        return (bits + noisy - noisy.detach()).flatten(1).sum(dim=1)


def _bits(symbols: Tensor, sigma: Tensor) -> Tensor:
    """-log2 of a Gaussian's mass within half a step of each symbol, in the logarithmic domain."""
    distance = symbols.abs()
    farthest = (0.5 + REACH * sigma).detach()
    distance = distance * (farthest / distance.detach().clamp(min=1e-6)).clamp(max=1)
    inner = torch.special.log_ndtr((0.5 - distance) / sigma)
    outer = torch.special.log_ndtr((-0.5 - distance) / sigma)
    return (inner + torch.log1p(-torch.exp(outer - inner))) / -math.log(2)
