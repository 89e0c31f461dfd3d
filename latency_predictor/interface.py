"""The interface of latency models, and the implementation that calibrated models share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latency_predictor.devices import UnknownDevice, calibration_key, devices_of
from latency_predictor.model.interval import COVERAGE, Interval, ratio_spread
from latency_predictor.model.times import AdditiveTimes, summed
from latency_predictor.ops import OpTable


@dataclass(frozen=True)
class Prediction:
    """Predicted latency of each program in milliseconds; `low_ms <= ms <= high_ms`.

    All arrays have shape [programs]. The interval from `low_ms` to `high_ms` is meant to contain
    the true latency nine times in ten, for networks of families and in laboratories that the model
    was not calibrated on. `distance` says how far a program is from the calibration data: it is the
    uncertainty of the prediction (`epistemic_std`), divided by the 95 % quantile of the
    uncertainties at which intervals were checked. A program whose distance exceeds 1 should be
    measured.
    """

    ms: NDArray[np.float64]
    low_ms: NDArray[np.float64]
    high_ms: NDArray[np.float64]
    distance: NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """Predicted ratio of the latencies of two programs of each pair; `low <= ratio <= high`.

    All arrays have shape [pairs]. The interval from `low` to `high` is meant to contain the true
    ratio nine times in ten, if both programs are of one family and are measured by one laboratory
    on one device, so that the effects of laboratory and family cancel. The interval is narrower the
    more alike both programs are. `faster` is the probability that the first program is the faster
    one: that of a normal distribution of the log ratio with this interval.
    """

    ratio: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    faster: NDArray[np.float64]


class LatencyModel(Protocol):
    """Predicts the latency of op lists on named devices."""

    @property
    def name(self) -> str: ...

    @property
    def devices(self) -> tuple[str, ...]:
        """Names that `predict` accepts; other spellings such as "iPhone 13" work as well."""
        ...

    def predict(self, table: OpTable, device: str) -> Prediction:
        """Predict the latency of each program of the table.

        The result equals `from_sums` of the table's `feature_sums`. Raises `UnknownDevice`.
        """
        ...

    def op_features(self, table: OpTable, device: str) -> NDArray[np.float64]:
        """Features of one occurrence of each op, to be summed over programs: [rows, features].

        The first feature is the op's time in milliseconds. Raises `UnknownDevice`.
        """
        ...

    def from_sums(self, sums: NDArray[np.float64], device: str) -> Prediction:
        """Predict latencies from op features summed over each program: `sums` [programs, features].

        The sums of a program's parts may be computed apart and added. Raises `UnknownDevice`.
        """
        ...

    def compare(self, sums: NDArray[np.float64], others: NDArray[np.float64], device: str) -> Ratio:
        """Predict ratios of latencies, those of `sums` divided by those of `others`.

        Both are [pairs, features], as for `from_sums`. Raises `UnknownDevice`.
        """
        ...


def feature_sums(model: LatencyModel, table: OpTable, device: str) -> NDArray[np.float64]:
    """Sums of the model's op features over each program: shape [programs, features]."""
    return summed(lambda part: model.op_features(part, device), table)


class CalibratedModel:
    """A `LatencyModel` with one `AdditiveTimes` and one `Interval` for each calibration.

    The mappings `times` and `intervals` are keyed by calibration, for example `a15-ane`.
    `ratio_quantile` is the half-width of intervals of log ratios, in multiples of their spread.
    """

    def __init__(
        self,
        name: str,
        times: Mapping[str, AdditiveTimes],
        intervals: Mapping[str, Interval],
        ratio_quantile: float,
    ) -> None:
        self.name = name
        self.devices = devices_of(times.keys())
        self._times = times
        self._intervals = intervals
        self._ratio_quantile = ratio_quantile

    def predict(self, table: OpTable, device: str) -> Prediction:
        """Predict the latency of each program of the table. Raises `UnknownDevice`."""
        return self.from_sums(feature_sums(self, table, device), device)

    def op_features(self, table: OpTable, device: str) -> NDArray[np.float64]:
        """Features of one occurrence of each op: [rows, features]. Raises `UnknownDevice`."""
        return self._times[self._key(device)].op_features(table)

    def from_sums(self, sums: NDArray[np.float64], device: str) -> Prediction:
        """Predict latencies from op features summed over each program: `sums` [programs, features].

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

    def compare(self, sums: NDArray[np.float64], others: NDArray[np.float64], device: str) -> Ratio:
        """Predict ratios of latencies, those of `sums` divided by those of `others`.

        Both are [pairs, features], as for `from_sums`. Raises `UnknownDevice`.
        """
        # Models are loaded by commands that need no scipy, whose import takes long.
        from scipy.special import ndtr, ndtri

        times = self._times[self._key(device)]
        ratio = times.from_sums(sums).ms / times.from_sums(others).ms
        half = self._ratio_quantile * ratio_spread(times.difference(sums, others))
        faster = ndtr(-np.log(ratio) / half * ndtri((1 + COVERAGE) / 2))
        return Ratio(ratio, ratio / np.exp(half), ratio * np.exp(half), faster)

    def _key(self, device: str) -> str:
        """The calibration that applies to a device. Raises `UnknownDevice`."""
        key = calibration_key(device)
        if key is None or key not in self._times:
            raise UnknownDevice(device, self.devices)
        return key
