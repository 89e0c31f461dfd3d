"""The hyperprior: what is sent beside the latent, and the distributions it gives.

PICO's split (arXiv 2605.05148, section 3): the *scale decoder* gives sigma alone, in one shot,
since the entropy decoder needs nothing else; the *context decoder* gives the mean and the
quantisation width, which stay on the accelerator.
"""

from __future__ import annotations

import torch
from compressai.entropy_models import GaussianConditional
from torch import Tensor, nn

from space.blocks import ConvScale, HaarAnalysis, HaarSynthesis, LevelScale

HYPER_DEPTH = 2
"""Haar levels between the latent (stride 16) and the hyper-latent (stride 64)."""


class HyperEncoder(nn.Module):
    """Latent [B, M, H, W] to hyper-latent [B, N, H/4, W/4].

    Sees the latent's values and magnitudes; the rectified layer lets it form logarithms.
    """

    def __init__(self, latent_channels: int, hyper_channels: int) -> None:
        super().__init__()
        self.down = HaarAnalysis(2 * latent_channels, hyper_channels)
        self.hidden = HaarAnalysis(hyper_channels, 2 * hyper_channels)
        self.out = ConvScale(2 * hyper_channels, hyper_channels)

    def forward(self, latent: Tensor) -> Tensor:
        both = torch.cat((latent, latent.abs()), dim=1)
        z: Tensor = self.out(torch.relu(self.hidden(self.down(both))))
        return z


class ScaleDecoder(nn.Module):
    """Hyper-latent [B, N, h, w] to sigma [B, M, 4h, 4w], in units of the quantisation width."""

    def __init__(self, latent_channels: int, hyper_channels: int, levels: int) -> None:
        super().__init__()
        self.hidden = ConvScale(hyper_channels, 2 * hyper_channels, kernel_size=3)
        self.up = HaarSynthesis(2 * hyper_channels, latent_channels, depth=HYPER_DEPTH)
        self.base = LevelScale(latent_channels, levels)

    def forward(self, z: Tensor, levels: Tensor) -> Tensor:
        log_sigma = self.up(torch.relu(self.hidden(z)))
        return self.base(torch.exp(log_sigma), levels)


class ContextDecoder(nn.Module):
    """Hyper-latent [B, N, h, w] to mean and quantisation width, each [B, M, 4h, 4w].

    The width is a learned elementwise factor times a step per channel and level, so that the step
    is the codec's rate control. Both start without context: mean 0, factor 1.
    """

    def __init__(self, latent_channels: int, hyper_channels: int, levels: int) -> None:
        super().__init__()
        self.hidden = ConvScale(hyper_channels, 2 * hyper_channels, kernel_size=3)
        self.up = HaarSynthesis(2 * hyper_channels, latent_channels, depth=HYPER_DEPTH)
        self.mean = ConvScale(latent_channels, latent_channels)
        self.log_width = ConvScale(latent_channels, latent_channels)
        self.step = LevelScale(latent_channels, levels)
        for last in (self.mean, self.log_width):
            nn.init.zeros_(last.weight)

    def forward(self, z: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        prior = torch.relu(self.up(torch.relu(self.hidden(z))))
        return self.mean(prior), self.step(torch.exp(self.log_width(prior)), levels)


class Rate(nn.Module):
    """Bits of rounded symbols under a zero-mean Gaussian.

    In training the value, and sigma's gradient, are those of the rounded symbols; the symbols'
    own gradient is that of the usual uniform noise, since rounding has none. Noise alone would
    teach sigma to pay for noise where nearly all symbols are zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gaussian = GaussianConditional(None)

    def forward(self, symbols: Tensor, sigma: Tensor) -> Tensor:
        """Bits [batch] of unrounded `symbols` whose standard deviation is `sigma`."""
        bits = self._bits(symbols.detach(), sigma, training=False)
        if not self.training:
            return bits
        noisy = self._bits(symbols, sigma.detach(), training=True)
        return bits + noisy - noisy.detach()

    def _bits(self, symbols: Tensor, sigma: Tensor, training: bool) -> Tensor:
        _, likelihood = self.gaussian(symbols, sigma, training=training)
        return -torch.log2(likelihood).flatten(1).sum(dim=1)
