"""Time of a Core ML program as a sum of smooth rooflines, one per fused op.

Each op costs a fixed dispatch time (a grouped convolution one per group) plus a smooth maximum of
three times: arithmetic, streaming the weights and streaming the activations. The three overlap, so
that the longest dominates. The smooth maximum exceeds the longest if the three are similar.

Arithmetic saturates. There are half-saturation constants `a`, `b` and `p`. An op on `cin` input
channels, `cout` output channels and `px` positions takes as long as `(cin + a) (cout + b) (px + p)`
multiply-accumulates per tap at full speed. Time therefore rises smoothly with every size, and an op
with few channels uses a wide array of multipliers inefficiently. There is no staircase, because the
data could not determine one. Activations that exceed on-chip memory are streamed more slowly. All
constants are positive. Every time has derivatives by the logs of the constants, because the fit and
its uncertainty require them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from latency_predictor.ops import Kind, OpTable


class Cost(IntEnum):
    """Classes of ops. The ops of a class share constants.

    The classes are those of `Kind`, with convolutions and moves subdivided.
    """

    POINTWISE = 0
    CONV3X3 = 1
    """Dense 3x3 convolution at stride 1, which has a Winograd implementation."""
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
    """Moves that change the number of channels: concatenation and pixel shuffle."""
    TRANSPOSE = 12


_MULTIPLYING = [cost for cost in Cost if cost <= Cost.MATMUL]
_DENSE = [cost for cost in _MULTIPLYING if cost != Cost.DEPTHWISE]

RELATIVE = (
    *(f"rate_{cost.name.lower()}" for cost in _MULTIPLYING if cost != Cost.CONV3X3),
    *(f"stream_{cost.name.lower()}" for cost in Cost if cost != Cost.CONV3X3),
    "half_in_channels",
    "half_out_channels",
    "half_positions",
    "half_depthwise_taps",
    "spill",
)
"""Constants that are similar across chips: speeds relative to a dense 3x3 convolution (`rate_`,
`stream_`), half-saturation sizes, and the slow-down of activations that exceed on-chip memory
(`spill`)."""

ABSOLUTE = ("program_ms", "dispatch_ms", "gmac_per_ms", "weight_mb_per_ms", "stream_mb_per_ms")
"""Constants that differ between chips: a fixed time per program and per op, the arithmetic
throughput, and the bandwidths of weights and activations."""

CONSTANTS = (*RELATIVE, *ABSOLUTE)
"""All constants of a roofline. Every vector of constants has this order."""

_COLUMN = {name: number for number, name in enumerate(CONSTANTS)}
_CLASS_COLUMNS = {
    prefix: np.array([_COLUMN.get(f"{prefix}_{cost.name.lower()}", -1) for cost in Cost])
    for prefix in ("rate", "stream")
}
"""Column of the constant of each cost class; -1 if it is 1 by definition."""

SHARPNESS = 4
"""Exponent of the smooth maximum. For three equal times, the maximum is 1.32 times each of them."""

WORKING_SET_MB = 2.0
"""Largest live operand, in MB, that stays on chip on M1-class engines.
Bryngelson, Apple Neural Engine guide, arXiv 2606.22283, CC BY 4.0."""


def cost_of(table: OpTable) -> NDArray[np.int64]:
    """Cost class of each op, a number of `Cost`: shape [rows]."""
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
    """Times of ops on one compute unit of one chip.

    `constants` has the value of each of `CONSTANTS`.
    """

    def __init__(self, constants: Mapping[str, float]) -> None:
        def column(prefix: str) -> NDArray[np.float64]:
            return np.array([constants.get(f"{prefix}_{c.name.lower()}", 1.0) for c in Cost])

        self.floor_ms = constants["program_ms"]
        self._dispatch_ms = constants["dispatch_ms"]
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

    @classmethod
    def from_logs(cls, logs: NDArray[np.float64]) -> Roofline:
        """The roofline whose constants have the logarithms `logs`, in the order of `CONSTANTS`."""
        return cls(dict(zip(CONSTANTS, np.exp(logs).tolist(), strict=True)))

    def op_ms(self, table: OpTable) -> NDArray[np.float64]:
        """Time of one occurrence of each op in milliseconds, above 0: shape [rows]."""
        times = self._times(table)
        return times.dispatch + times.overlapped

    def op_gradient(self, table: OpTable) -> NDArray[np.float64]:
        """Derivatives of `op_ms` by the log of each constant: shape [rows, len(CONSTANTS)].

        The column of `program_ms` is zero, because the time of an op does not depend on it.
        """
        times = self._times(table)
        cost = cost_of(table)
        gradient = np.zeros((len(table), len(CONSTANTS)))

        def add(name: str, share: NDArray[np.float64]) -> None:
            gradient[:, _COLUMN[name]] = share

        def add_by_class(prefix: str, share: NDArray[np.float64]) -> None:
            columns = _CLASS_COLUMNS[prefix][cost]
            known = np.flatnonzero(columns >= 0)
            gradient[known, columns[known]] = share[known]

        arithmetic, weights, stream = times.shares()
        add("dispatch_ms", times.dispatch)
        add("gmac_per_ms", -arithmetic)
        add("weight_mb_per_ms", -weights)
        add("stream_mb_per_ms", -stream)
        add_by_class("rate", -arithmetic)
        add_by_class("stream", -stream)
        add("half_in_channels", arithmetic * times.half_in)
        add("half_out_channels", arithmetic * times.half_out)
        add("half_positions", arithmetic * times.half_positions)
        add("half_depthwise_taps", arithmetic * times.half_taps)
        add("spill", stream * times.spilt)
        return gradient

    def _times(self, table: OpTable) -> _Times:
        cost = cost_of(table)
        groups = table.groups
        taps = table.kernel + self._half_taps[cost]
        inputs = table.in_channels / groups + self._half_in[cost]
        outputs = table.out_channels / groups + self._half_out[cost]
        transposed = table.kind == Kind.TRANSPOSED_CONV
        positions = np.where(transposed, table.in_px, table.out_px) + self._half_positions
        moved = table.in_bytes + table.out_bytes
        fullness = (moved / (WORKING_SET_MB * 1e6)) ** 2
        spill = self._spill * fullness / (1 + fullness)
        return _Times(
            dispatch=self._dispatch_ms * np.where(cost == Cost.GROUPED, groups, 1),
            arithmetic=groups * taps * inputs * outputs * positions * self._ms_per_mac[cost],
            weights=table.weight_bytes * self._ms_per_weight_byte,
            stream=moved * self._ms_per_byte[cost] * (1 + spill),
            half_in=self._half_in[cost] / inputs,
            half_out=self._half_out[cost] / outputs,
            half_taps=self._half_taps[cost] / taps,
            half_positions=self._half_positions / positions,
            spilt=spill / (1 + spill),
        )


@dataclass(frozen=True)
class _Times:
    """Parts of the times of ops, each of shape [rows].

    `dispatch`, `arithmetic`, `weights` and `stream` are in milliseconds. The others are the
    derivatives of log `arithmetic` or, for `spilt`, of log `stream` by the log of one constant.
    """

    dispatch: NDArray[np.float64]
    arithmetic: NDArray[np.float64]
    weights: NDArray[np.float64]
    stream: NDArray[np.float64]
    half_in: NDArray[np.float64]
    half_out: NDArray[np.float64]
    half_taps: NDArray[np.float64]
    half_positions: NDArray[np.float64]
    spilt: NDArray[np.float64]

    @property
    def overlapped(self) -> NDArray[np.float64]:
        """The smooth maximum of the times that overlap, in milliseconds."""
        parts = (self.arithmetic, self.weights, self.stream)
        return np.asarray(sum(part**SHARPNESS for part in parts) ** (1 / SHARPNESS))

    def shares(self) -> tuple[NDArray[np.float64], ...]:
        """Derivatives of `overlapped` by the logs of `arithmetic`, `weights` and `stream`."""
        scale = self.overlapped ** (1 - SHARPNESS)
        parts = (self.arithmetic, self.weights, self.stream)
        return tuple(part**SHARPNESS * scale for part in parts)
