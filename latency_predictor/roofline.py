"""Time of a Core ML program as a sum of smooth rooflines, one per fused op.

Each op costs a fixed dispatch (a grouped convolution one per group) plus the Euclidean norm of
three times: arithmetic, streaming its weights and streaming its activations. The norm is a smooth
maximum: what is overlapped is paid once, what is balanced a little more.

Arithmetic saturates: with half-saturation constants `a`, `b`, `p` an op on `cin` input channels,
`cout` output channels and `px` positions costs what `(cin + a) (cout + b) (px + p)` would cost
at full speed. So time rises smoothly with every size, and few channels use a wide array badly,
without a staircase that the data could not pin down. Activations that exceed on-chip memory
stream more slowly. All constants are positive; there is one set per compute unit ("shared") and
a few per chip.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from latency_predictor.ops import Kind, OpTable


class Cost(IntEnum):
    """Ops that share constants: `Kind`, with convolutions told apart by what hardware sees."""

    POINTWISE = 0
    CONV3X3 = 1
    """Dense 3x3 at stride 1, which has a Winograd path."""
    CONV = 2
    GROUPED = 3
    DEPTHWISE = 4
    TRANSPOSED_CONV = 5
    MATMUL = 6
    POOL = 7
    ELEMENTWISE = 8
    NORM = 9
    RESIZE = 10
    REGROUP = 11
    """Moves that change the number of channels: concatenation, pixel shuffle."""
    TRANSPOSE = 12


_MULTIPLYING = [cost for cost in Cost if cost <= Cost.MATMUL]
_DENSE = [cost for cost in _MULTIPLYING if cost != Cost.DEPTHWISE]

SHARED = (
    *(f"rate_{cost.name.lower()}" for cost in _MULTIPLYING if cost != Cost.CONV3X3),
    *(f"stream_{cost.name.lower()}" for cost in Cost if cost >= Cost.DEPTHWISE),
    "dispatch_grouped",
    *(f"dispatch_{cost.name.lower()}" for cost in Cost if cost >= Cost.MATMUL),
    "half_in_channels",
    "half_out_channels",
    "half_positions",
    "half_depthwise_taps",
    "spill",
)
"""Shared constants: speeds relative to a dense 3x3 convolution (`rate_`, `stream_`), dispatch
relative to a convolution's, half-saturation sizes, and how much slower spilt activations are."""

PER_CHIP = ("program_ms", "dispatch_ms", "gmac_per_ms", "weight_mb_per_ms", "stream_mb_per_ms")
"""Constants of a chip: fixed time per program and per op, arithmetic rate, bandwidths."""

WORKING_SET_MB = 2.0
"""Largest live operand that stays on chip on M1-class engines.
Bryngelson, Apple Neural Engine guide, arXiv 2606.22283, CC BY 4.0."""


def cost_of(table: OpTable) -> NDArray[np.int64]:
    """`Cost` of each op."""
    kind = table.kind
    lookup = np.array(
        [
            Cost.CONV,
            Cost.TRANSPOSED_CONV,
            Cost.MATMUL,
            Cost.POOL,
            Cost.ELEMENTWISE,
            Cost.NORM,
            Cost.RESIZE,
            Cost.TRANSPOSE,
        ]
    )
    dense = (kind == Kind.CONV) & (table.groups == 1)
    grouped = (kind == Kind.CONV) & (table.groups > 1)
    return np.select(
        [
            dense & (table.kernel == 1),
            dense & (table.kernel == 9) & (table.stride == 1),
            grouped & (table.groups == table.in_channels),
            grouped,
            (kind == Kind.MOVE) & (table.in_channels != table.out_channels),
        ],
        [Cost.POINTWISE, Cost.CONV3X3, Cost.DEPTHWISE, Cost.GROUPED, Cost.REGROUP],
        default=lookup[kind],
    )


class Roofline:
    """Op times of one compute unit of one chip, from its `SHARED` and `PER_CHIP` constants."""

    def __init__(self, constants: Mapping[str, float]) -> None:
        def column(prefix: str) -> NDArray[np.float64]:
            return np.array([constants.get(f"{prefix}_{c.name.lower()}", 1.0) for c in Cost])

        self.floor_ms = constants["program_ms"]
        self._dispatch_ms = constants["dispatch_ms"] * column("dispatch")
        multiplies = np.isin(list(Cost), _MULTIPLYING)
        self._ms_per_mac = multiplies / (constants["gmac_per_ms"] * 1e9 * column("rate"))
        self._ms_per_byte = 1 / (constants["stream_mb_per_ms"] * 1e6 * column("stream"))
        self._ms_per_weight_byte = 1 / (constants["weight_mb_per_ms"] * 1e6)
        dense = np.isin(list(Cost), _DENSE)
        self._half_in = dense * constants["half_in_channels"]
        self._half_out = dense * constants["half_out_channels"]
        depthwise = np.arange(len(Cost)) == Cost.DEPTHWISE
        self._half_taps = depthwise * constants["half_depthwise_taps"]
        self._half_positions = constants["half_positions"]
        self._spill = constants["spill"]

    def op_ms(self, table: OpTable) -> NDArray[np.float64]:
        """Milliseconds of one occurrence of each op: shape [rows], positive."""
        cost = cost_of(table)
        groups = table.groups
        positions = np.where(table.kind == Kind.TRANSPOSED_CONV, table.in_px, table.out_px)
        arithmetic = (
            groups
            * (table.kernel + self._half_taps[cost])
            * (table.in_channels / groups + self._half_in[cost])
            * (table.out_channels / groups + self._half_out[cost])
            * (positions + self._half_positions)
            * self._ms_per_mac[cost]
        )
        moved = table.in_bytes + table.out_bytes
        fullness = (moved / (WORKING_SET_MB * 1e6)) ** 2
        stream = moved * self._ms_per_byte[cost] * (1 + self._spill * fullness / (1 + fullness))
        weights = table.weight_bytes * self._ms_per_weight_byte
        dispatches = np.where(cost == Cost.GROUPED, groups, 1)
        overlapped = np.sqrt(arithmetic**2 + weights**2 + stream**2)
        return np.asarray(self._dispatch_ms[cost] * dispatches + overlapped)
