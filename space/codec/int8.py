"""Storage of convolution weights in 8 bits, with a step per output channel."""

from __future__ import annotations

import torch
from torch import Tensor

WEIGHT_MAX = 127
"""Largest magnitude of an INT8 weight. Each output channel has its own step."""
WIDE = (".branch.", "decoder.context.decoded.")
"""Substrings by which the names of convolutions that a supernet stores in 8 bits are recognised.

These convolutions are most of a codec, and they tolerate the rounding.
"""
COMPACT = (".branch.", "decoder.context.")
"""The same for a compact model, whose context model is stored in 8 bits as a whole."""


def is_kernel_of(names: tuple[str, ...], name: str, weight: Tensor) -> bool:
    """Whether a tensor is the kernel of a convolution whose name contains one of `names`."""
    return weight.dim() == 4 and any(part in name for part in names)


def int8_step(weight: Tensor) -> Tensor:
    """Quantisation step [out, 1, 1, 1] with which a weight [out, in, k, k] is rounded to INT8."""
    largest = weight.abs().amax(dim=(1, 2, 3), keepdim=True)
    return (largest / WEIGHT_MAX).clamp(min=1e-6)


def to_int8(weight: Tensor, step: Tensor) -> Tensor:
    """The integers [out, in, k, k] nearest to a weight in units of `step`, as int8."""
    return (weight / step).round().to(torch.int8)
