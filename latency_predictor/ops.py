"""The op list, which codecs, traced networks and the latency model have in common.

An op is a *fused* operation as a Core ML program runs it: a convolution includes its bias, its
normalisation and its activation. A table holds the ops of any number of programs as columns, so
that a whole search space is lowered and priced without a Python loop over architectures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

BYTES_PER_VALUE = 2
"""Bytes per weight and per activation, which are float16 on the Neural Engine."""


class Kind(IntEnum):
    """The type of an op, as far as it determines the cost."""

    CONV = 0
    """Convolution or linear layer (a 1x1 convolution over tokens), grouped or not."""
    TRANSPOSED_CONV = 1
    MATMUL = 2
    """Product of two activations, as in attention. It has no weights."""
    POOL = 3
    ELEMENTWISE = 4
    """Addition, product or activation that is not fused into a convolution."""
    NORM = 5
    """Softmax, layer norm and other reductions over channels or tokens."""
    RESIZE = 6
    MOVE = 7
    """Transpose, concatenation, slice or pixel shuffle: bytes move, but nothing is computed."""


@dataclass(frozen=True)
class OpTable:
    """Ops as columns, each an array of shape [rows].

    Row i belongs to program `program[i]`, and every program has at least one row. `count` is how
    often the op occurs in its program (0 for a slot that the architecture leaves empty), `kernel`
    is the number of taps (9 for 3x3), `in_px` and `out_px` are the numbers of spatial positions
    read and written. For an op with two operands, `in_px` counts the positions of both.
    """

    program: NDArray[np.int64]
    kind: NDArray[np.int64]
    count: NDArray[np.int64]
    in_channels: NDArray[np.int64]
    out_channels: NDArray[np.int64]
    kernel: NDArray[np.int64]
    stride: NDArray[np.int64]
    groups: NDArray[np.int64]
    in_px: NDArray[np.int64]
    out_px: NDArray[np.int64]
    programs: int
    """Number of programs, which are numbered from 0."""

    def __len__(self) -> int:
        return len(self.program)

    @property
    def weights(self) -> NDArray[np.int64]:
        """Weights of one occurrence of each op, without biases."""
        weighted = (self.kind == Kind.CONV) | (self.kind == Kind.TRANSPOSED_CONV)
        taps = self.kernel * self.in_channels // self.groups * self.out_channels
        return np.where(weighted, taps, 0)

    @property
    def macs(self) -> NDArray[np.int64]:
        """Multiply-accumulates of one occurrence; 0 except for convolutions and MATMUL."""
        taps = self.kernel * self.in_channels // self.groups * self.out_channels
        positions = np.where(self.kind == Kind.TRANSPOSED_CONV, self.in_px, self.out_px)
        return np.where(self.kind <= Kind.MATMUL, taps * positions, 0)

    @property
    def weight_bytes(self) -> NDArray[np.int64]:
        """Bytes of weights that one occurrence reads."""
        return self.weights * BYTES_PER_VALUE

    @property
    def in_bytes(self) -> NDArray[np.int64]:
        """Bytes of activations that one occurrence reads."""
        return self.in_channels * self.in_px * BYTES_PER_VALUE

    @property
    def out_bytes(self) -> NDArray[np.int64]:
        """Bytes of activations that one occurrence writes."""
        return self.out_channels * self.out_px * BYTES_PER_VALUE

    def per_program(self, per_op: NDArray[Any]) -> NDArray[np.float64]:
        """Sum a quantity per occurrence over each program: shape [programs]."""
        weights = (per_op * self.count).astype(np.float64)
        return np.asarray(np.bincount(self.program, weights, self.programs), dtype=np.float64)

    def totals(self) -> dict[str, NDArray[np.float64]]:
        """`macs`, `parameters` (biases included) and `peak_bytes`, each of shape [programs].

        `peak_bytes` is the size of all weights plus the largest input and output of any one op.
        """
        weights = self.weights
        live = np.where(self.count > 0, self.in_bytes + self.out_bytes, 0)
        order = np.argsort(self.program, kind="stable")
        starts = np.searchsorted(self.program[order], np.arange(self.programs))
        largest = np.maximum.reduceat(live[order], starts)
        return {
            "macs": self.per_program(self.macs),
            "parameters": self.per_program(weights + np.where(weights > 0, self.out_channels, 0)),
            "peak_bytes": self.per_program(self.weight_bytes) + largest,
        }


COLUMNS = tuple(field.name for field in fields(OpTable) if field.name != "programs")


def one_program(rows: Sequence[Mapping[str, int]]) -> OpTable:
    """The table of a single program. Each row gives all of `COLUMNS` except `program`."""
    columns = {
        name: np.array([row[name] for row in rows], dtype=np.int64)
        for name in COLUMNS
        if name != "program"
    }
    return OpTable(program=np.zeros(len(rows), dtype=np.int64), **columns, programs=1)


OCCURRENCE = tuple(name for name in COLUMNS if name not in ("program", "count"))
"""The columns that distinguish one op from another."""


def occurrences(table: OpTable) -> Counter[tuple[int, ...]]:
    """Number of occurrences of each op in a whole table, by its values in columns `OCCURRENCE`."""
    found: Counter[tuple[int, ...]] = Counter()
    columns = [getattr(table, name).tolist() for name in OCCURRENCE]
    for op, count in zip(zip(*columns, strict=True), table.count.tolist(), strict=True):
        found[op] += count
    return +found


def concatenate(tables: Sequence[OpTable]) -> OpTable:
    """Join tables. The programs of each table are numbered after those of the one before."""
    starts = np.cumsum([0, *(table.programs for table in tables)])
    columns = {name: np.concatenate([getattr(t, name) for t in tables]) for name in COLUMNS}
    columns["program"] = np.concatenate(
        [table.program + start for table, start in zip(tables, starts, strict=False)]
    )
    return OpTable(**columns, programs=int(starts[-1]))
