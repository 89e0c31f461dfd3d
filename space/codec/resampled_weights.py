"""Conversion of a resampling layer's weights between parametrisations of the layer's kernel.

Haar subbands and pixel (un)shuffle parametrise the same kernels, whose sides are the stride. An
overlapping convolution has a kernel with sides of twice the stride. This kernel is the smaller one,
padded with zeros, plus a learned tensor, the margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from space.codec.blocks import BASES

DOWNSAMPLING, UPSAMPLING = "analysis.downs.", "decoder.synthesis.ups."
"""Prefixes of the names of a codec's resampling layers."""
STORED = "haar"
"""The value of `resampling` in whose parametrisation a supernet holds its resampling layers."""
KERNEL_MARGIN = "margin"
"""Name, within a layer, of the supernet's tensor that only overlapping convolutions use.

The tensor is added to the zero-padded kernel and has the same shape.
"""

Tensors = dict[str, Tensor]


def layers(names: Iterable[str]) -> list[str]:
    """Names of a codec's resampling layers, given the `names` of the codec's tensors."""
    prefixes = (DOWNSAMPLING, UPSAMPLING)
    return sorted({".".join(n.split(".")[:-2]) for n in names
                   if n.startswith(prefixes) and n.endswith(".conv.weight")})  # fmt: skip


def resampled(layer: str, haar: Tensors, resampling: str, margin: Tensor | None) -> Tensors:
    """Convert the tensors `haar` of a resampling layer to the parametrisation `resampling`.

    `haar` has `conv.weight`, `conv.scale_in`, `conv.scale_out`, `basis` and the bias. The layer's
    output is unchanged, except that `margin` is added to the kernel of an overlapping convolution
    (`resampling` is `conv`). In the other parametrisations `margin` is None.
    """
    transform = _downsampling if layer.startswith(DOWNSAMPLING) else _upsampling
    return transform(haar, resampling, margin)


def _downsampling(haar: Tensors, resampling: str, margin: Tensor | None) -> Tensors:
    """Convert a layer of weight [out, in * s * s, 1, 1] and kernel [out, in, s, s]."""
    weight = (haar["conv.weight"] * haar["conv.scale_in"]).flatten(1)
    basis = haar["basis"]
    kernel = torch.einsum("ocb,bij->ocij", weight.unflatten(1, (-1, len(basis))), basis)
    kept = {name: haar[name] for name in ("conv.scale_out", "conv.bias")}
    if margin is not None:
        weight = F.pad(kernel, [kernel.shape[-1] // 2] * 4) + margin
        return kept | {
            "conv.weight": weight,
            "conv.scale_in": kernel.new_ones(1, *weight.shape[1:2], 1, 1),
        }
    weight = kernel.flatten(1)[:, :, None, None]
    return kept | {
        "conv.weight": weight,
        "conv.scale_in": torch.ones_like(haar["conv.scale_in"]),
        "basis": _basis(haar, resampling),
    }


def _upsampling(haar: Tensors, resampling: str, margin: Tensor | None) -> Tensors:
    """Convert a layer of weight [out * s * s, in, 1, 1] and kernel [out, in, s, s]."""
    weight = (haar["conv.weight"] * haar["conv.scale_out"]).flatten(1)
    basis = haar["basis"]
    kernel = torch.einsum("obc,bij->ocij", weight.unflatten(0, (-1, len(basis))), basis)
    kept = {name: haar[name] for name in ("conv.scale_in", "bias")}
    if margin is not None:
        weight = F.pad(kernel, [kernel.shape[-1] // 2] * 4) + margin
        return kept | {
            "conv.weight": weight,
            "conv.scale_out": kernel.new_ones(len(weight), 1, 1, 1),
        }
    weight = kernel.permute(0, 2, 3, 1).flatten(0, 2)[:, :, None, None]
    return kept | {
        "conv.weight": weight,
        "conv.scale_out": torch.ones_like(haar["conv.scale_out"]),
        "basis": _basis(haar, resampling),
    }


def _basis(haar: Tensors, resampling: str) -> Tensor:
    depth = round(math.log2(haar["basis"].shape[-1]))
    return BASES[resampling](depth).to(haar["basis"])
