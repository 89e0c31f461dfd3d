"""The codec: analysis transform, hyperprior and synthesis transform of one architecture."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from space.architecture import HYPER_STRIDE, LEVELS, QUALITY_STEPS, Architecture
from space.codec.blocks import ConvScale, CSChain, ScaledWeight, downsampling, fold, upsampling
from space.codec.context import Context
from space.codec.entropy import HyperEncoder, Rate
from space.codec.rounding import round_straight_through
from space.codec.scales import ScalePath
from space.entropy_coding.tables import Tables

LAMBDA_LOW, LAMBDA_HIGH = 1e-3, 1e-1
"""Lambda of the lowest and of the highest quality level in the loss bpp + lambda * MSE, for a
squared error in units of 8-bit steps."""


def rate_weights(low: float, high: float) -> Tensor:
    """Lambda of each quality level [LEVELS], for images in [0, 1], between two lambdas.

    `low` and `high` are those of `LAMBDA_LOW`, greater than 0.
    """
    return torch.logspace(math.log10(low), math.log10(high), LEVELS) * 255**2


RATE_WEIGHTS = rate_weights(LAMBDA_LOW, LAMBDA_HIGH)
"""Lambda of each quality level in the search, for images in [0, 1]."""
SYNTHESIS = "decoder.synthesis."
"""Prefix of the names of the synthesis transform's parameters."""
ENTROPY = ("analysis.hyper.", "decoder.context.", "scale_path.")
"""Prefixes of the names of the entropy model's parameters."""


class Analysis(nn.Module):
    """Maps an image [B, 3, H, W] in [0, 1] to its latent and hyper-latent.

    The latent is [B, M, H/16, W/16] and the hyper-latent [B, N, H/64, W/64].
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        chains = architecture.encoder
        widths = [chain.C for chain in chains]
        resampling = architecture.resampling
        self.downs = nn.ModuleList(
            [
                downsampling(3, widths[0], resampling, depth=2),
                downsampling(widths[0], widths[1], resampling),
                downsampling(widths[1], widths[2], resampling),
            ]
        )
        self.chains = nn.ModuleList(CSChain(c, architecture.activation, LEVELS) for c in chains)
        self.head = ConvScale(widths[-1], architecture.latent_channels)
        self.hyper = HyperEncoder(architecture)

    def forward(self, image: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        x = image
        for down, chain in zip(self.downs, self.chains, strict=True):
            x = chain(down(x), levels)
        latent = self.head(x)
        return latent, self.hyper(latent)


class Synthesis(nn.Module):
    """Maps a dequantised latent [B, M, H/16, W/16] to an image [B, 3, H, W].

    The image is not clipped to [0, 1].
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        chains = architecture.decoder
        widths = [chain.C for chain in chains]
        self.head = ConvScale(architecture.latent_channels, widths[0])
        self.chains = nn.ModuleList(CSChain(c, architecture.activation, LEVELS) for c in chains)
        resampling = architecture.resampling
        self.ups = nn.ModuleList(
            [
                upsampling(widths[0], widths[1], resampling),
                upsampling(widths[1], widths[2], resampling),
                upsampling(widths[2], 3, resampling, depth=2),
            ]
        )

    def forward(self, latent: Tensor, levels: Tensor) -> Tensor:
        x = self.head(latent)
        for chain, up in zip(self.chains, self.ups, strict=True):
            x = up(chain(x, levels))
        return x


class EncoderNetwork(nn.Module):
    """The networks that an accelerator runs to encode: from an image to its symbols.

    These are the analysis transform, the hyper-encoder and the context loop, with quantisation. The
    modules are shared with `codec`, not copied.
    """

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.analysis = codec.analysis
        self.context = codec.decoder.context

    def forward(self, image: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Latent symbols [B, M, H/16, W/16] and hyper-latent symbols [B, N, H/64, W/64]."""
        latent, z = self.analysis(image, levels)
        z = z.round()
        return self.context.residual(latent, z, levels).round(), z


class EntropyModel(nn.Module):
    """Hyper-encoder, context model and scale path of a codec, without the codec's transforms."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec

    def forward(
        self, latent: Tensor, levels: Tensor, fixed_width: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Training bits [B] and quantisation widths of the symbols of a latent [B, M, H/16, W/16].

        `Context.residual_and_width` explains the widths and `fixed_width`.
        """
        codec = self.codec
        z = codec.analysis.hyper(latent)
        residual, width = codec.decoder.context.residual_and_width(
            latent, round_straight_through(z), levels, fixed_width
        )
        return codec.training_bits(residual, z, levels), width


class Decoder(nn.Module):
    """The networks that an accelerator runs to decode: from symbols to an image.

    These are the context loop, with dequantisation, and the synthesis transform.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.context = Context(architecture, LEVELS)
        self.synthesis = Synthesis(architecture)

    def forward(self, symbols: Tensor, z: Tensor, levels: Tensor) -> Tensor:
        return self.synthesis(self.context(symbols, z, levels), levels)


class Coded(NamedTuple):
    """A batch of reconstructions [B, 3, H, W], and the number of bits [B] of each.

    Reconstructions are clipped to [0, 1] in evaluation, but not in training.
    """

    image: Tensor
    bits: Tensor


class Codec(nn.Module):
    """One model for all rates: `codec(image, quality)` codes and reconstructs a batch of images.

    Symbols are always rounded. In training, gradients pass through the rounding as described in
    `round_straight_through` and `Rate`. In evaluation, the number of bits is what the symbols would
    take in a file, coded with the integer scale path and the tables.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.analysis = Analysis(architecture)
        self.decoder = Decoder(architecture)
        self.scale_path = ScalePath(architecture, LEVELS)
        self.rate = Rate()
        if architecture.scales == "none":
            for module in self.modules():
                if isinstance(module, ScaledWeight):
                    module.scale_in.requires_grad_(False)
                    module.scale_out.requires_grad_(False)

    def forward(self, image: Tensor, quality: Tensor) -> Coded:
        """Code and reconstruct images of any size.

        `image` is [B, 3, H, W] in [0, 1]. `quality` [B] is the quality level of each image, from 0
        to LEVELS - 1. It is rounded to steps of 1 / QUALITY_STEPS, as in files.
        """
        height, width = image.shape[-2:]
        padded = pad_to_multiple(image, HYPER_STRIDE)
        steps = (quality * QUALITY_STEPS).round().long()
        levels = level_weights(steps).to(image)
        latent, z = self.analysis(padded, levels)
        z_symbols = round_straight_through(z)
        residual = self.decoder.context.residual(latent, z_symbols, levels)
        if self.training:
            bits = self.training_bits(residual, z, levels)
        else:
            bits = self._symbol_bits(residual, z, steps)
        decoded = self.decoder(round_straight_through(residual), z_symbols, levels)
        decoded = decoded[..., :height, :width]
        return Coded(decoded if self.training else decoded.clamp(0, 1), bits)

    def file_bits(self, image: Tensor, quality: Tensor) -> Tensor:
        """Number of bits [B] that images take in files, as from `forward` in evaluation.

        It takes less time than `forward`, because nothing is decoded.
        """
        steps = (quality * QUALITY_STEPS).round().long()
        levels = level_weights(steps).to(image)
        symbols, z = EncoderNetwork(self)(pad_to_multiple(image, HYPER_STRIDE), levels)
        return self._symbol_bits(symbols, z, steps)

    def training_bits(self, residual: Tensor, z: Tensor, levels: Tensor) -> Tensor:
        """Number of bits [B] of latent symbols `residual` and hyper-latent symbols `z`.

        The symbols are not yet rounded, and the bits have gradients as `Rate` describes.
        """
        sigma = self.scale_path(round_straight_through(z), levels)
        hyper_sigma = self.scale_path.hyper_sigma(levels).expand_as(z)
        return self.rate(residual, sigma) + self.rate(z, hyper_sigma)

    def _symbol_bits(self, residual: Tensor, z: Tensor, steps: Tensor) -> Tensor:
        integer, tables = self.scale_path.integer(), Tables.gaussian()
        z_symbols, symbols, steps = (x.round().long().cpu() for x in (z, residual, steps))
        hyper_tables = integer.hyper_tables(steps).expand_as(z_symbols)
        bits = tables.bits(symbols, integer(z_symbols, steps)).flatten(1).sum(dim=1)
        return (bits + tables.bits(z_symbols, hyper_tables).flatten(1).sum(dim=1)).to(residual)

    def fold(self) -> Codec:
        """Replace all reparametrised convolutions, in place, by plain ones of equal output.

        The scale path is left as it is, because files use its integer form, `ScalePath.integer`.
        """
        fold(self.analysis)
        fold(self.decoder)
        return self


def level_weights(quality_steps: Tensor) -> Tensor:
    """Weights [B, LEVELS] that interpolate linearly between the trained quality levels.

    `quality_steps` [B] is the quality level in integer steps of 1 / QUALITY_STEPS.
    """
    grid = torch.arange(LEVELS, device=quality_steps.device)
    return (1 - (quality_steps[:, None] / QUALITY_STEPS - grid).abs()).clamp(min=0)


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Pad an image until both sides are multiples of `multiple`.

    The padding repeats the image's last row and column.
    """
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")
