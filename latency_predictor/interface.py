"""What every latency model offers, and the part that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latency_predictor.devices import UnknownDevice, calibration_key, devices_of
from latency_predictor.ops import COLUMNS, OpTable

_ROWS_AT_A_TIME = 1 << 16
"""Bounds memory and keeps temporaries in the cache: 3.5x faster than whole columns."""


@dataclass(frozen=True)
class Prediction:
    """Milliseconds per program, each of shape [programs]; `low_ms <= ms <= high_ms`.

    The interval is meant to hold nine times in ten for a network of a family that the model was
    not calibrated on.
    """

    ms: NDArray[np.float64]
    low_ms: NDArray[np.float64]
    high_ms: NDArray[np.float64]


class LatencyModel(Protocol):
    """Prices op lists on named devices."""

    @property
    def name(self) -> str: ...

    @property
    def devices(self) -> tuple[str, ...]:
        """Names that `predict` takes; spellings such as "iPhone 13" are understood too."""
        ...

    def predict(self, table: OpTable, device: str) -> Prediction:
        """Latency of each program of the table. Raises `UnknownDevice`."""
        ...


class OpTimes(Protocol):
    """An additive model of one chip's compute unit: a floor and a time per op."""

    @property
    def floor_ms(self) -> float: ...

    def op_ms(self, table: OpTable) -> NDArray[np.float64]:
        """Milliseconds of one occurrence of each op: shape [rows], not negative."""
        ...


def program_ms(times: OpTimes, table: OpTable) -> NDArray[np.float64]:
    """Milliseconds of each program: shape [programs]; a program without ops costs the floor."""
    per_op = np.empty(len(table))
    for start in range(0, len(table), _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        columns = {name: getattr(table, name)[rows] for name in COLUMNS}
        per_op[rows] = times.op_ms(OpTable(**columns, programs=table.programs))
    return times.floor_ms + table.per_program(per_op)


class CalibratedModel:
    """A `LatencyModel` made of one `OpTimes` and one interval factor per calibration.

    `times` and `interval` are keyed by calibration, `a15-ane` say; an interval is the prediction
    divided and multiplied by its factor (at least 1).
    """

    def __init__(
        self, name: str, times: Mapping[str, OpTimes], interval: Mapping[str, float]
    ) -> None:
        self.name = name
        self.devices = devices_of(times.keys())
        self._times = times
        self._interval = interval

    def predict(self, table: OpTable, device: str) -> Prediction:
        """Latency of each program of the table. Raises `UnknownDevice`."""
        key = calibration_key(device)
        if key is None or key not in self._times:
            raise UnknownDevice(device, self.devices)
        ms = program_ms(self._times[key], table)
        factor = self._interval[key]
        return Prediction(ms=ms, low_ms=ms / factor, high_ms=ms * factor)
