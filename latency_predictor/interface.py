"""What every latency model offers, and the part that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latency_predictor.devices import UnknownDevice, calibration_key, devices_of
from latency_predictor.interval import Interval
from latency_predictor.ops import OpTable
from latency_predictor.times import AdditiveTimes, summed


@dataclass(frozen=True)
class Prediction:
    """Milliseconds per program, each of shape [programs]; `low_ms <= ms <= high_ms`.

    The interval is meant to hold nine times in ten for a network of a family that the model was
    not calibrated on. `distance` says how far a program lies from what was calibrated, relative to
    all but the farthest twentieth of the rows that intervals were checked on: beyond 1, measure it.
    """

    ms: NDArray[np.float64]
    low_ms: NDArray[np.float64]
    high_ms: NDArray[np.float64]
    distance: NDArray[np.float64]


class LatencyModel(Protocol):
    """Prices op lists on named devices."""

    @property
    def name(self) -> str: ...

    @property
    def devices(self) -> tuple[str, ...]:
        """Names that `predict` takes; spellings such as "iPhone 13" are understood too."""
        ...

    def predict(self, table: OpTable, device: str) -> Prediction:
        """Latency of each program of the table: `from_sums` of its `feature_sums`.

        Raises `UnknownDevice`.
        """
        ...

    def op_features(self, table: OpTable, device: str) -> NDArray[np.float64]:
        """Additive features of one occurrence of each op: shape [rows, features].

        The first is its time in milliseconds. Raises `UnknownDevice`.
        """
        ...

    def from_sums(self, sums: NDArray[np.float64], device: str) -> Prediction:
        """Latency of programs whose features sum up to `sums` [programs, features].

        Programs may so be priced by their parts. Raises `UnknownDevice`.
        """
        ...


def feature_sums(model: LatencyModel, table: OpTable, device: str) -> NDArray[np.float64]:
    """Features of the ops summed over each program: shape [programs, features]."""
    return summed(lambda part: model.op_features(part, device), table)


class CalibratedModel:
    """A `LatencyModel` made of one `AdditiveTimes` and one `Interval` per calibration.

    Both are keyed by calibration, `a15-ane` say.
    """

    def __init__(
        self,
        name: str,
        times: Mapping[str, AdditiveTimes],
        intervals: Mapping[str, Interval],
    ) -> None:
        self.name = name
        self.devices = devices_of(times.keys())
        self._times = times
        self._intervals = intervals

    def predict(self, table: OpTable, device: str) -> Prediction:
        """Latency of each program of the table. Raises `UnknownDevice`."""
        return self.from_sums(feature_sums(self, table, device), device)

    def op_features(self, table: OpTable, device: str) -> NDArray[np.float64]:
        """Features of one occurrence of each op: [rows, features]. Raises `UnknownDevice`."""
        return self._times[self._key(device)].op_features(table)

    def from_sums(self, sums: NDArray[np.float64], device: str) -> Prediction:
        """Latency of programs whose features sum up to `sums` [programs, features].

        Raises `UnknownDevice`.
        """
        key = self._key(device)
        interval, estimate = self._intervals[key], self._times[key].from_sums(sums)
        factor = interval.factor(estimate)
        return Prediction(
            ms=estimate.ms,
            low_ms=estimate.ms / factor,
            high_ms=estimate.ms * factor,
            distance=interval.distance(estimate),
        )

    def _key(self, device: str) -> str:
        """Calibration that serves a device. Raises `UnknownDevice`."""
        key = calibration_key(device)
        if key is None or key not in self._times:
            raise UnknownDevice(device, self.devices)
        return key
