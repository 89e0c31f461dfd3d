"""Precision in which the wide convolutions of a codec are trained.

Residual branches and the context model's convolutions do most of a codec's arithmetic and bear
rounding well; the transforms between them carry the picture and stay in single precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

_branch_dtype: ContextVar[torch.dtype] = ContextVar("branch_dtype", default=torch.float32)


@contextmanager
def branches_in(dtype: torch.dtype) -> Iterator[None]:
    """Run residual branches in `dtype`, float32 or bfloat16, inside the `with` block."""
    token = _branch_dtype.set(dtype)
    try:
        yield
    finally:
        _branch_dtype.reset(token)


def branch(module: nn.Module, x: Tensor) -> Tensor:
    """`module(x)` in the precision that `branches_in` chose; the result has the dtype of `x`."""
    dtype = _branch_dtype.get()
    if dtype is torch.float32:
        return module(x)
    with torch.autocast(x.device.type, dtype):
        return module(x).to(x.dtype)


def fastest_branch_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it faster than float32, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def dtype_name(dtype: torch.dtype) -> str:
    """`float32` or `bfloat16`."""
    return str(dtype).removeprefix("torch.")
