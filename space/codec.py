"""The codec: analysis transform, hyperprior and synthesis transform of one architecture."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from space.architecture import Architecture
from space.blocks import ConvScale, CSChain, HaarAnalysis, HaarSynthesis, fold
from space.entropy import ContextDecoder, HyperEncoder, Rate, ScaleDecoder

LEVELS = 8
"""Trained quality levels, 0 to 7; a quality is a real number between them."""
RATE_WEIGHTS = torch.logspace(-3.0, -1.0, LEVELS) * 255**2
"""Lambda per quality level in bpp + lambda * MSE, for images in [0, 1]."""
SHARPNESS = 5.0
"""Of soft rounding's gradient: 1 is a straight line, infinity a staircase."""
PADDING = 64
"""Image sides are padded to a multiple of this: the hyper-latent's stride."""


class Analysis(nn.Module):
    """Image [B, 3, H, W] in [0, 1] to latent [B, M, H/16, W/16] and hyper-latent at stride 64."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        chains = architecture.encoder
        widths = [chain.C for chain in chains]
        self.downs = nn.ModuleList(
            [
                HaarAnalysis(3, widths[0], depth=2),
                HaarAnalysis(widths[0], widths[1]),
                HaarAnalysis(widths[1], widths[2]),
            ]
        )
        self.chains = nn.ModuleList(CSChain(c, architecture.activation, LEVELS) for c in chains)
        self.head = ConvScale(widths[-1], architecture.latent_channels)
        self.hyper = HyperEncoder(architecture.latent_channels, architecture.hyper_channels)

    def forward(self, image: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        x = image
        for down, chain in zip(self.downs, self.chains, strict=True):
            x = chain(down(x), levels)
        latent = self.head(x)
        return latent, self.hyper(latent)


class Synthesis(nn.Module):
    """Dequantised latent [B, M, H/16, W/16] to image [B, 3, H, W], not yet clipped to [0, 1]."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        chains = architecture.decoder
        widths = [chain.C for chain in chains]
        self.head = ConvScale(architecture.latent_channels, widths[0])
        self.chains = nn.ModuleList(CSChain(c, architecture.activation, LEVELS) for c in chains)
        self.ups = nn.ModuleList(
            [
                HaarSynthesis(widths[0], widths[1]),
                HaarSynthesis(widths[1], widths[2]),
                HaarSynthesis(widths[2], 3, depth=2),
            ]
        )

    def forward(self, latent: Tensor, levels: Tensor) -> Tensor:
        x = self.head(latent)
        for chain, up in zip(self.chains, self.ups, strict=True):
            x = up(chain(x, levels))
        return x


class EncoderNetwork(nn.Module):
    """What the accelerator runs to encode: analysis, hyper-encoder, context decoder, quantisation.

    Shares its modules with the codec that it is made of.
    """

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.analysis = codec.analysis
        self.context = codec.decoder.context

    def forward(self, image: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        latent, z = self.analysis(image, levels)
        z = z.round()
        mean, width = self.context(z, levels)
        return ((latent - mean) / width).round(), z


class Decoder(nn.Module):
    """What the accelerator runs to decode: context decoder, dequantisation, synthesis."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        latent, hyper = architecture.latent_channels, architecture.hyper_channels
        self.context = ContextDecoder(latent, hyper, LEVELS)
        self.synthesis = Synthesis(architecture)

    def forward(self, symbols: Tensor, z: Tensor, levels: Tensor) -> Tensor:
        mean, width = self.context(z, levels)
        return self.synthesis(symbols * width + mean, levels)


class Coded(NamedTuple):
    """A reconstruction [B, 3, H, W] (clipped to [0, 1] in evaluation) and its bits [B]."""

    image: Tensor
    bits: Tensor


class Codec(nn.Module):
    """One model for all rates: `codec(image, quality)` codes and reconstructs.

    Symbols are rounded, in training with the gradients that `round_straight_through` and `Rate`
    describe.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        latent, hyper = architecture.latent_channels, architecture.hyper_channels
        self.analysis = Analysis(architecture)
        self.scale_decoder = ScaleDecoder(latent, hyper, LEVELS)
        self.decoder = Decoder(architecture)
        self.log_hyper_sigma = nn.Parameter(torch.zeros(hyper))
        self.rate = Rate()

    def forward(self, image: Tensor, quality: Tensor) -> Coded:
        """Code `image` [B, 3, H, W] in [0, 1] of any size at `quality` [B] in [0, LEVELS - 1]."""
        height, width = image.shape[-2:]
        padded = pad_to_multiple(image, PADDING)
        levels = level_weights(quality)
        latent, z = self.analysis(padded, levels)
        z_symbols = round_straight_through(z)
        mean, step = self.decoder.context(z_symbols, levels)
        residual = (latent - mean) / step
        hyper_sigma = torch.exp(self.log_hyper_sigma)[None, :, None, None].expand_as(z)
        symbols = round_straight_through(residual)
        bits = self.rate(residual, self.scale_decoder(z_symbols, levels))
        bits = bits + self.rate(z, hyper_sigma)
        dequantised = symbols * step + mean
        decoded = self.decoder.synthesis(dequantised, levels)[..., :height, :width]
        return Coded(decoded if self.training else decoded.clamp(0, 1), bits)

    def fold(self) -> Codec:
        """Replace, in place, all reparametrised convolutions by plain ones of equal output."""
        fold(self)
        return self


def level_weights(quality: Tensor) -> Tensor:
    """Linear interpolation weights [B, LEVELS] of `quality` [B] between the trained levels."""
    grid = torch.arange(LEVELS, device=quality.device, dtype=quality.dtype)
    return (1 - (quality[:, None] - grid).abs()).clamp(min=0)


def round_straight_through(x: Tensor) -> Tensor:
    """Rounding whose gradient is that of soft rounding (Agustsson and Theis, 2020).

    Steep at the thresholds and flat between them. With a gradient of one everywhere, symbols that
    are all zero seem to gain from a finer step, and training spends its rate on them.
    """
    fraction = (x - x.floor() - 0.5) * SHARPNESS
    slope = SHARPNESS / (2 * math.tanh(SHARPNESS / 2)) / torch.cosh(fraction).square()
    soft = x * slope.detach()
    return x.round().detach() + soft - soft.detach()


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples of `multiple`."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")
