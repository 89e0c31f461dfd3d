"""The scale path: it predicts the sigma of each symbol, and so its table, from the hyper-latent.

Encoder and decoder must choose the same tables on any two machines. A trained scale path is
therefore converted to integer weights once. Table indexes are computed from these weights and the
integer symbols of the hyper-latent alone. PICO runs a UINT8 scale decoder (arXiv 2605.05148,
section 3); PULSE (arXiv 2609.18602) predicts table indexes linearly. In both, a meta prior chooses
the tables of the hyper-latent itself. We understand PICO's paper to mean that this prior depends on
the channel and the quality level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from space.architecture import HYPER_DEPTH, QUALITY_STEPS, Architecture
from space.arithmetic import FRACTION_BITS, MULTIPLIER_BITS, Z_MAX
from space.codec.blocks import ConvScale, LevelScale, SubbandSynthesis
from space.codec.int8 import int8_step, to_int8
from space.entropy_coding.payload import TABLE_COUNT

SIGMA_MIN, SIGMA_MAX = 0.15, 128.0
"""Standard deviations of the first and the last table, in units of the quantisation width.

At a sigma of 0.15, one symbol in 1,200 is not zero. Predictions of a smaller sigma would be
overconfident on photographs.
"""
LOG_STEP = math.log(SIGMA_MAX / SIGMA_MIN) / (TABLE_COUNT - 1)
"""Difference of log(sigma) between neighbouring tables."""
HIDDEN_STEP = 1 / 16
"""Step of the hidden layer's UINT8 activations, which range from 0 to 255 steps."""


def table_sigmas() -> Tensor:
    """Standard deviations of the tables, shape [TABLE_COUNT]."""
    return SIGMA_MIN * torch.exp(LOG_STEP * torch.arange(TABLE_COUNT, device="cpu"))


class ScalePath(nn.Module):
    """Maps hyper-latent symbols [B, N, h, w] to the sigma [B, M, 4h, 4w] of the latent symbols.

    Sigma is in units of the quantisation width. This is the form for training: weights and
    activations are rounded as in the integer form, and gradients pass through the rounding
    unchanged. `integer` returns the form that codes files.
    """

    def __init__(self, architecture: Architecture, levels: int) -> None:
        super().__init__()
        latent, hyper = architecture.latent_channels, architecture.hyper_channels
        linear = architecture.scale_path == "linear"
        self.hidden = None if linear else ConvScale(hyper, 2 * hyper, kernel_size=3)
        self.up = SubbandSynthesis(hyper if linear else 2 * hyper, latent, HYPER_DEPTH, "haar")
        self.base = LevelScale(latent, levels)
        self.meta_prior = LevelScale(hyper, levels)

    def forward(self, z: Tensor, levels: Tensor) -> Tensor:
        x = z.clamp(-Z_MAX, Z_MAX)
        if self.hidden is not None:
            weight = _rounded(self.hidden.folded_weight())
            x = F.conv2d(x, weight, self.hidden.folded_bias(), padding=1)
            x = _straight_through(x, (x / HIDDEN_STEP).round() * HIDDEN_STEP)
            x = x.clamp(0, 255 * HIDDEN_STEP)
        weight = _rounded(_as_pointwise(self.up.folded_weight()))
        log_sigma = F.pixel_shuffle(F.conv2d(x, weight), 2**HYPER_DEPTH)
        log_sigma = log_sigma + (self.up.bias + levels @ self.base.log_scale)[:, :, None, None]
        return torch.exp(log_sigma.clamp(max=math.log(SIGMA_MAX)))

    def hyper_sigma(self, levels: Tensor) -> Tensor:
        """Standard deviation [B, N, 1, 1] of the hyper-latent symbols."""
        return self.meta_prior.vector(levels)

    @torch.no_grad()
    def integer(self) -> IntegerScales:
        """The form that codes files: this scale path in integers, on the CPU."""
        layers = []
        out_step = LOG_STEP / 2**FRACTION_BITS
        up = _as_pointwise(self.up.folded_weight())
        if self.hidden is None:
            layers.append(IntegerLayer.of(up, None, 1.0, out_step))
        else:
            weight, bias = self.hidden.folded_weight(), self.hidden.folded_bias()
            layers.append(IntegerLayer.of(weight, bias, 1.0, HIDDEN_STEP))
            layers.append(IntegerLayer.of(up, None, HIDDEN_STEP, out_step))
        base = self.base.log_scale + self.up.bias - math.log(SIGMA_MIN)
        meta = self.meta_prior.log_scale - math.log(SIGMA_MIN)
        return IntegerScales(layers, *(_to_integers(table, out_step) for table in (base, meta)))


class IntegerLayer(nn.Module):
    """An integer convolution with INT8 weights and exact accumulators.

    A fixed-point factor per output channel converts accumulators to outputs.
    """

    weight: Tensor
    bias: Tensor
    factor: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, factor: Tensor) -> None:
        """`weight` [out, in, k, k] int8, `bias` [out] and `factor` [out] int64."""
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("factor", factor)

    @classmethod
    def of(
        cls, weight: Tensor, bias: Tensor | None, in_step: float, out_step: float
    ) -> IntegerLayer:
        """Convert a float layer to the nearest integer layer.

        Inputs of the integer layer are counted in units of `in_step`, its outputs in units of
        `out_step`.
        """
        exact = weight.double().cpu()
        step = int8_step(exact)
        accumulator = step.flatten() * in_step
        offset = torch.zeros(len(weight)) if bias is None else bias.cpu()
        return cls(
            to_int8(exact, step),
            _to_integers(offset, accumulator),
            _to_integers(accumulator / out_step, 2.0**-MULTIPLIER_BITS),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map integers [B, in, h, w] to integers [B, out, h, w], both int64."""
        padding = self.weight.shape[-1] // 2
        total = F.conv2d(x, self.weight.long(), self.bias, padding=padding)
        half = 1 << (MULTIPLIER_BITS - 1)
        return (total * self.factor[:, None, None] + half) >> MULTIPLIER_BITS


class IntegerScales(nn.Module):
    """Computes table indexes in integer arithmetic alone.

    The indexes are identical on every machine. Converting the module to another float type
    does not change it.
    """

    base: Tensor
    meta: Tensor

    def __init__(self, layers: Sequence[IntegerLayer], base: Tensor, meta: Tensor) -> None:
        """`base` [levels, M] and `meta` [levels, N] are table indexes with FRACTION_BITS."""
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.register_buffer("base", base)
        self.register_buffer("meta", meta)

    def forward(self, z: Tensor, quality_steps: Tensor) -> Tensor:
        """Table index [B, M, 4h, 4w] of each latent symbol, in [0, TABLE_COUNT), int64.

        `z` [B, N, h, w] are the hyper-latent symbols. `quality_steps` [B] is the quality in
        hundredths of a level. Both are integers.
        """
        x = z.clamp(-Z_MAX, Z_MAX)
        for layer in self.layers[:-1]:
            x = layer(x).clamp(0, 255)
        x = F.pixel_shuffle(self.layers[-1](x), 2**HYPER_DEPTH)
        return _to_index(x + _between(self.base, quality_steps))

    def hyper_tables(self, quality_steps: Tensor) -> Tensor:
        """Table index [B, N, 1, 1] of each channel of the hyper-latent, in [0, TABLE_COUNT)."""
        return _to_index(_between(self.meta, quality_steps))


def _between(table: Tensor, quality_steps: Tensor) -> Tensor:
    """Integer interpolation [B, C, 1, 1] between the rows of `table` [levels, C]."""
    lower = quality_steps // QUALITY_STEPS
    upper = (lower + 1).clamp(max=len(table) - 1)
    part = (quality_steps % QUALITY_STEPS)[:, None]
    mixed = (table[lower] * (QUALITY_STEPS - part) + table[upper] * part) // QUALITY_STEPS
    return mixed[:, :, None, None]


def _to_index(fixed_point: Tensor) -> Tensor:
    half = 1 << (FRACTION_BITS - 1)
    return ((fixed_point + half) >> FRACTION_BITS).clamp(0, TABLE_COUNT - 1)


def _to_integers(values: Tensor, step: Tensor | float) -> Tensor:
    return (values.double().cpu() / step).round().long()


def _as_pointwise(weight: Tensor) -> Tensor:
    """Convert a transposed convolution [in, out, s, s] to a 1x1 one before a pixel shuffle."""
    return weight.flatten(1).T[:, :, None, None]


def _rounded(weight: Tensor) -> Tensor:
    step = int8_step(weight.detach())
    return _straight_through(weight, (weight / step).round() * step)


def _straight_through(x: Tensor, rounded: Tensor) -> Tensor:
    """The value of `rounded` with the gradient of `x`."""
    return x + (rounded - x).detach()
