"""A builder of op lists: it adds the same op to the programs of many architectures at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latency_predictor.ops import Kind, OpTable
from space.architecture import LEVELS


@dataclass
class OpList:
    """Collects the ops of one program per architecture. A method such as `conv` adds to each.

    Every argument is a number, or an array with one entry per architecture. `inputs` and `outputs`
    are numbers of channels, `px` is the number of spatial positions of the input, and `count` is
    the number of times that the op occurs in a program.
    """

    architectures: int
    rows: list[dict[str, NDArray[np.int64]]] = field(default_factory=list)

    def add(
        self,
        kind: Kind,
        in_channels: ArrayLike,
        out_channels: ArrayLike,
        in_px: ArrayLike,
        out_px: ArrayLike,
        *,
        kernel: ArrayLike = 1,
        stride: int = 1,
        count: ArrayLike = 1,
    ) -> None:
        """Add one op. `OpTable` has columns of the same names and explains them."""
        figures: dict[str, ArrayLike] = {
            "kind": int(kind), "count": count,
            "in_channels": in_channels, "out_channels": out_channels,
            "kernel": kernel, "stride": stride, "groups": 1, "in_px": in_px, "out_px": out_px,
        }  # fmt: skip
        shape = (self.architectures,)
        self.rows.append(
            {name: np.broadcast_to(np.asarray(v, np.int64), shape) for name, v in figures.items()}
        )

    def conv(
        self,
        inputs: ArrayLike,
        outputs: ArrayLike,
        px: ArrayLike,
        kernel: int = 1,
        count: ArrayLike = 1,
    ) -> None:
        """Add a convolution with stride 1 and `kernel` taps (9 for 3x3)."""
        self.add(Kind.CONV, inputs, outputs, px, px, kernel=kernel, count=count)

    def down(
        self, inputs: ArrayLike, outputs: ArrayLike, px: int, stride: int, overlap: ArrayLike = 0
    ) -> None:
        """Add a strided convolution that downsamples by `stride`.

        The kernel's sides are `stride`, or 2 * `stride` where `overlap` is true.
        """
        taps = stride**2 * (1 + 3 * np.asarray(overlap))
        self.add(Kind.CONV, inputs, outputs, px, px // stride**2, kernel=taps, stride=stride)

    def up(
        self, inputs: ArrayLike, outputs: ArrayLike, px: int, stride: int, overlap: ArrayLike = 0
    ) -> None:
        """Add a transposed convolution that upsamples by `stride`.

        The kernel's sides are `stride`, or 2 * `stride` where `overlap` is true.
        """
        taps, out_px = stride**2 * (1 + 3 * np.asarray(overlap)), px * stride**2
        self.add(Kind.TRANSPOSED_CONV, inputs, outputs, px, out_px, kernel=taps, stride=stride)

    def binary(
        self,
        channels: ArrayLike,
        px: ArrayLike,
        operand_px: ArrayLike | None = None,
        count: ArrayLike = 1,
    ) -> None:
        """Add an elementwise sum or product of two operands.

        The first operand and the result have `px` positions. The second operand has `operand_px`
        positions, by default `px`.
        """
        in_px = np.add(px, px if operand_px is None else operand_px)
        self.add(Kind.ELEMENTWISE, channels, channels, in_px, px, count=count)

    def level_scale(self, channels: ArrayLike, px: int) -> None:
        """Add the ops of `blocks.LevelScale`, which scales each channel by the quality level."""
        self.conv(LEVELS, channels, px=1)
        self.binary(channels, px, operand_px=1)

    def table(self) -> OpTable:
        """The collected ops as a table, program after program."""
        columns = {
            name: np.stack([row[name] for row in self.rows], axis=1).reshape(-1)
            for name in self.rows[0]
        }
        program = np.repeat(np.arange(self.architectures), len(self.rows))
        return OpTable(program=program, **columns, programs=self.architectures)
