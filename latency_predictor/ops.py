"""The op list: the description of a program that the latency model takes.

An op is a *fused* operation as a Core ML program runs it: a convolution includes its bias, its
normalisation and its activation. Codecs and traced networks are lowered to ops, that is, converted
to op lists. A table holds the ops of any number of programs as columns. A whole search space is
therefore lowered, and its latency predicted, without a Python loop over architectures.
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
"""Bytes per weight and per activation. Both are float16 on the Neural Engine."""


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
    """A table of ops, with one row per op. Each column is an array of shape [rows].

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
        """Number of weights of one occurrence of each op, without biases: shape [rows]."""
        weighted = (self.kind == Kind.CONV) | (self.kind == Kind.TRANSPOSED_CONV)
        taps = self.kernel * self.in_channels // self.groups * self.out_channels
        return np.where(weighted, taps, 0)

    @property
    def macs(self) -> NDArray[np.int64]:
        """Multiply-accumulates of one occurrence of each op: shape [rows].

        They are 0 except for convolutions and MATMUL.
        """
        taps = self.kernel * self.in_channels // self.groups * self.out_channels
        positions = np.where(self.kind == Kind.TRANSPOSED_CONV, self.in_px, self.out_px)
        return np.where(self.kind <= Kind.MATMUL, taps * positions, 0)

    @property
    def weight_bytes(self) -> NDArray[np.int64]:
        """Bytes of weights that one occurrence of each op reads: shape [rows]."""
        return self.weights * BYTES_PER_VALUE

    @property
    def in_bytes(self) -> NDArray[np.int64]:
        """Bytes of activations that one occurrence of each op reads: shape [rows]."""
        return self.in_channels * self.in_px * BYTES_PER_VALUE

    @property
    def out_bytes(self) -> NDArray[np.int64]:
        """Bytes of activations that one occurrence of each op writes: shape [rows]."""
        return self.out_channels * self.out_px * BYTES_PER_VALUE

    def per_program(self, per_op: NDArray[Any]) -> NDArray[np.float64]:
        """Sum `per_op` over the occurrences of all ops of each program: shape [programs].

        `per_op` [rows] is a quantity of one occurrence of each op.
        """
        weights = (per_op * self.count).astype(np.float64)
        return np.asarray(np.bincount(self.program, weights, self.programs), dtype=np.float64)

    def totals(self) -> dict[str, NDArray[np.float64]]:
        """Totals of each program: `macs`, `parameters` (with biases) and `peak_bytes` [programs].

        `peak_bytes` is the size of all weights plus the largest sum of the input and output of one
        op.
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
    """Make the table of a single program. Each row maps `COLUMNS`, without `program`, to values."""
    columns = {
        name: np.array([row[name] for row in rows], dtype=np.int64)
        for name in COLUMNS
        if name != "program"
    }
    return OpTable(program=np.zeros(len(rows), dtype=np.int64), **columns, programs=1)


OCCURRENCE = tuple(name for name in COLUMNS if name not in ("program", "count"))
"""Names of the columns that distinguish one op from another: all but `program` and `count`."""


def occurrences(table: OpTable) -> Counter[tuple[int, ...]]:
    """Number of occurrences of each distinct op, summed over all programs of a table.

    Two rows are the same op if they agree in all columns of `OCCURRENCE`. The keys are the values
    of these columns, in their order. Ops whose count is 0 are left out.
    """
    found: Counter[tuple[int, ...]] = Counter()
    columns = [getattr(table, name).tolist() for name in OCCURRENCE]
    for op, count in zip(zip(*columns, strict=True), table.count.tolist(), strict=True):
        found[op] += count
    return +found


def concatenate(tables: Sequence[OpTable]) -> OpTable:
    """Join tables. The programs of each table are numbered after those of the previous table."""
    starts = np.cumsum([0, *(table.programs for table in tables)])
    columns = {name: np.concatenate([getattr(t, name) for t in tables]) for name in COLUMNS}
    columns["program"] = np.concatenate(
        [table.program + start for table, start in zip(tables, starts, strict=False)]
    )
    return OpTable(**columns, programs=int(starts[-1]))
