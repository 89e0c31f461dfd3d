"""Precision in which the wide convolutions of a codec are trained.

Residual branches and the context model's convolutions do most of a codec's arithmetic and tolerate
rounding. The transforms between them carry the image and stay in single precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

BRANCH_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Accepted precisions by their names in configurations."""

_branch_dtype: ContextVar[torch.dtype] = ContextVar("branch_dtype", default=torch.float32)


@contextmanager
def branches_in(dtype: str) -> Iterator[None]:
    """Make `branch` compute in the precision `dtype` inside the `with` block.

    `dtype` is a name in BRANCH_DTYPES.
    """
    token = _branch_dtype.set(BRANCH_DTYPES[dtype])
    try:
        yield
    finally:
        _branch_dtype.reset(token)


def branch(module: nn.Module, x: Tensor) -> Tensor:
    """Compute `module(x)` in the precision that `branches_in` sets, by default float32.

    The result has the dtype of `x`.
    """
    dtype = _branch_dtype.get()
    if dtype is torch.float32:
        return module(x)
    with torch.autocast(x.device.type, dtype):
        return module(x).to(x.dtype)


def fastest_branch_dtype(device: torch.device) -> str:
    """`bfloat16` if the device multiplies it faster than float32, else `float32`."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported()
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast else "float32"
