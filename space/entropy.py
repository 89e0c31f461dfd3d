"""The hyper-encoder, and the rate of symbols in training."""

from __future__ import annotations

import torch
from compressai.entropy_models import GaussianConditional
from torch import Tensor, nn

from space.architecture import Architecture
from space.blocks import ConvScale, downsampling
from space.scales import SIGMA_MIN

RAREST = 2.0**-20
"""Least probability of a symbol: one beyond its 16-bit table takes some 20 bits of the coder."""


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
        self.gaussian = GaussianConditional(None, scale_bound=SIGMA_MIN, likelihood_bound=RAREST)

    def forward(self, symbols: Tensor, sigma: Tensor) -> Tensor:
        """Bits [batch] of unrounded `symbols` whose standard deviation is `sigma`."""
        bits = self._bits(symbols.detach(), sigma, noise=False)
        noisy = self._bits(symbols, sigma.detach(), noise=True)
        return bits + noisy - noisy.detach()

    def _bits(self, symbols: Tensor, sigma: Tensor, noise: bool) -> Tensor:
        _, likelihood = self.gaussian(symbols, sigma, training=noise)
        return -torch.log2(likelihood).flatten(1).sum(dim=1)
