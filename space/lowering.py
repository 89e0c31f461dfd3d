"""Closed-form op lists: what a phone runs for an architecture, without building it.

The functions take columns of values (`search_space.Columns`), one entry per architecture, and
return one table with one program per architecture. The lists are those of the folded codec: what
`latency_predictor.trace` finds in the module itself, op for op.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latency_predictor.ops import Kind, OpTable
from space.architecture import (
    DECODER_STRIDES,
    ENCODER_STRIDES,
    HYPER_DEPTH,
    LATENT_STRIDE,
    LEVELS,
    Architecture,
)
from space.context import GROUP_QUARTERS, STEPS
from space.search_space import from_architecture
from space.tiling import TILE

Figures = Mapping[str, NDArray[Any]]


@dataclass
class _Program:
    """Collects ops; every figure is a number or an array with one entry per architecture."""

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
        self.add(Kind.CONV, inputs, outputs, px, px, kernel=kernel, count=count)

    def down(
        self, inputs: ArrayLike, outputs: ArrayLike, px: int, stride: int, overlap: ArrayLike = 0
    ) -> None:
        taps = stride**2 * (1 + 3 * np.asarray(overlap))
        self.add(Kind.CONV, inputs, outputs, px, px // stride**2, kernel=taps, stride=stride)

    def up(
        self, inputs: ArrayLike, outputs: ArrayLike, px: int, stride: int, overlap: ArrayLike = 0
    ) -> None:
        taps, out_px = stride**2 * (1 + 3 * np.asarray(overlap)), px * stride**2
        self.add(Kind.TRANSPOSED_CONV, inputs, outputs, px, out_px, kernel=taps, stride=stride)

    def binary(
        self,
        channels: ArrayLike,
        px: ArrayLike,
        operand_px: ArrayLike | None = None,
        count: ArrayLike = 1,
    ) -> None:
        in_px = np.add(px, px if operand_px is None else operand_px)
        self.add(Kind.ELEMENTWISE, channels, channels, in_px, px, count=count)

    def level_scale(self, channels: ArrayLike, px: int) -> None:
        self.conv(LEVELS, channels, px=1)
        self.binary(channels, px, operand_px=1)

    def chain(self, figures: Figures, name: str, px: int) -> None:
        C, R, E, F = (figures[f"{name}.{f}"] for f in "CREF")  # noqa: N806
        self.conv(C, C * E, px, kernel=9, count=R)
        self.conv(C * E, C * F, px, count=R)
        self.conv(C * F, C, px, count=R)
        self.binary(C, px, count=R)
        self.level_scale(C, px)

    def context(self, figures: Figures, encode: bool) -> None:
        """The context loop: from symbols to the latent, or from the latent to symbols."""
        latent, hyper = figures["latent_channels"], figures["hyper_channels"]
        pattern = figures["context"]
        px = (TILE // LATENT_STRIDE) ** 2
        hyper_px = px // 4**HYPER_DEPTH
        self.conv(hyper, 2 * hyper, hyper_px, kernel=9)
        self.up(2 * hyper, latent, hyper_px, stride=2**HYPER_DEPTH)
        self.level_scale(latent, px)
        steps, quarters = _each(pattern, STEPS), _each(pattern, GROUP_QUARTERS)
        by_phase = (pattern == "checkerboard") | (pattern == "grid")
        group, group_px = latent * quarters // 4, 4 * px // (quarters * steps)
        # The groups of the prior and those of what is coded.
        self.add(Kind.MOVE, latent, 4 * latent, px, px // 4, count=2 * by_phase)
        learned = figures["quantisation"] == "learned"
        for step in range(max(STEPS.values())):
            self.context_step(step, steps, group, group_px, learned, encode)
        self.add(Kind.MOVE, latent, 4 * latent, px, px // 4, count=by_phase)
        self.add(Kind.MOVE, 4 * latent, 4 * latent, px // 4, px // 4, count=by_phase)
        self.add(Kind.MOVE, 4 * latent, latent, px // 4, px, count=by_phase)
        self.add(Kind.MOVE, group, latent, steps * px, px, count=pattern == "channels")
        if encode:
            self.add(Kind.ELEMENTWISE, latent, latent, px, px, count=steps > 1)

    def context_step(
        self,
        step: int,
        steps: NDArray[np.int64],
        group: NDArray[np.int64],
        px: NDArray[np.int64],
        learned: NDArray[np.bool_],
        encode: bool,
    ) -> None:
        """One group of the context loop; nothing where an architecture has fewer steps."""
        taken = step < steps
        if step > 1:
            self.add(Kind.MOVE, group, step * group, step * px, px, count=taken)
        if step > 0:
            self.conv(step * group, group, px, kernel=9, count=taken)
            self.binary(group, px, count=taken)
        self.conv(group, group, px, count=taken * (1 + learned))
        self.binary(group, px, count=taken * (1 + learned))
        if encode:
            again = step + 1 < steps
            self.binary(group, px, count=again * (1 + learned))

    def table(self) -> OpTable:
        """All ops, program after program."""
        columns = {
            name: np.stack([row[name] for row in self.rows], axis=1).reshape(-1)
            for name in self.rows[0]
        }
        program = np.repeat(np.arange(self.architectures), len(self.rows))
        return OpTable(program=program, **columns, programs=self.architectures)


def lower_encoder(figures: Figures) -> OpTable:
    """Op lists of `codec.EncoderNetwork` on one tile, one program per architecture."""
    program = _Program(len(figures["latent_channels"]))
    latent, hyper = figures["latent_channels"], figures["hyper_channels"]
    overlap = figures["resampling"] == "conv"
    inputs: ArrayLike = 3
    before = 1
    for stride in ENCODER_STRIDES:
        width = figures[f"encoder.{stride}.C"]
        program.down(inputs, width, (TILE // before) ** 2, stride // before, overlap)
        program.chain(figures, f"encoder.{stride}", (TILE // stride) ** 2)
        inputs, before = width, stride
    px = (TILE // LATENT_STRIDE) ** 2
    program.conv(inputs, latent, px)
    program.add(Kind.MOVE, latent, 2 * latent, 2 * px, px)
    program.down(2 * latent, hyper, px, stride=2)
    program.down(hyper, 2 * hyper, px // 4, stride=2)
    program.conv(2 * hyper, hyper, px // 16)
    program.context(figures, encode=True)
    return program.table()


def lower_decoder(figures: Figures) -> OpTable:
    """Op lists of `codec.Decoder` on one tile, one program per architecture."""
    program = _Program(len(figures["latent_channels"]))
    latent = figures["latent_channels"]
    px = (TILE // LATENT_STRIDE) ** 2
    program.context(figures, encode=False)
    program.conv(latent, figures[f"decoder.{LATENT_STRIDE}.C"], px)
    for stride, after in zip(DECODER_STRIDES, (*DECODER_STRIDES[1:], 1), strict=True):
        px = (TILE // stride) ** 2
        width = figures[f"decoder.{stride}.C"]
        program.chain(figures, f"decoder.{stride}", px)
        outputs = figures[f"decoder.{after}.C"] if after > 1 else 3
        program.up(width, outputs, px, stride // after, figures["resampling"] == "conv")
    return program.table()


def lower_scale_path(figures: Figures) -> OpTable:
    """Op lists of `scales.IntegerScales` on one tile, which both halves run on the CPU.

    The table per level and channel stands for the bias that every convolution counts.
    """
    program = _Program(len(figures["latent_channels"]))
    latent, hyper = figures["latent_channels"], figures["hyper_channels"]
    px = (TILE // LATENT_STRIDE) ** 2 // 4**HYPER_DEPTH
    hidden = figures["scale_path"] == "uint8"
    program.conv(hyper, 2 * hyper, px, kernel=9, count=hidden)
    program.conv(hyper * (1 + hidden), latent * 4**HYPER_DEPTH, px)
    return program.table()


def _each(choices: NDArray[np.str_], values: Mapping[str, int]) -> NDArray[np.int64]:
    """The value of every entry of a categorical column."""
    return np.sum([(choices == name) * value for name, value in values.items()], axis=0)


def figures_of(architecture: Architecture) -> Figures:
    """Columns of a single architecture, for `lower_encoder` and `lower_decoder`."""
    return {name: np.array([value]) for name, value in from_architecture(architecture).items()}
