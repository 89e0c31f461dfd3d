"""The time of a program on one device, and its uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latency_predictor.model.roofline import CONSTANTS, Roofline
from latency_predictor.ops import COLUMNS, OpTable

_ROWS_AT_A_TIME = 1 << 14
"""Number of ops that are priced at once. It bounds memory and keeps temporaries in the cache."""


@dataclass(frozen=True)
class Estimate:
    """Estimated latency of programs; all arrays have shape [programs].

    `ms` is the latency in milliseconds. `epistemic_std` is the standard deviation of the log of
    `ms` that is due to uncertain model constants, or 0 if the model does not estimate it.
    `overhead_share` is the share of the fixed time per program in `ms`, or 0 likewise.
    """

    ms: NDArray[np.float64]
    epistemic_std: NDArray[np.float64]
    overhead_share: NDArray[np.float64]


class Times(Protocol):
    """Estimates the latency of programs on one device."""

    def estimate(self, table: OpTable) -> Estimate: ...


@dataclass(frozen=True)
class Difference:
    """Differences of the log times of pairs of programs; all arrays have shape [pairs].

    `epistemic_std` is the standard deviation of the difference that is due to uncertain model
    constants, and `overhead_share` the difference of `Estimate.overhead_share`. `distance` is the
    Euclidean distance of the derivatives of both log times by the log constants. It is 0 for
    programs that spend equal shares of their times on the same things. All are 0 if the model does
    not estimate them.
    """

    epistemic_std: NDArray[np.float64]
    overhead_share: NDArray[np.float64]
    distance: NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """The result of a fit: `times` by calibration, and effects of sources by "calibration/source".

    `offsets` holds the log factor of a source's times, and `overheads` that of its fixed time per
    program.
    """

    times: Mapping[str, Times]
    offsets: Mapping[str, float]
    overheads: Mapping[str, float]


class AdditiveTimes(Times, Protocol):
    """Estimates latency from features of ops that are summed over a program."""

    def op_features(self, table: OpTable) -> NDArray[np.float64]:
        """Features of one occurrence of each op: shape [rows, features].

        The first feature is the op's time in milliseconds.
        """
        ...

    def from_sums(self, sums: NDArray[np.float64]) -> Estimate:
        """Estimate latency from features summed over each program: `sums` [programs, features]."""
        ...

    def difference(self, sums: NDArray[np.float64], others: NDArray[np.float64]) -> Difference:
        """Compare the two programs of each pair, whose summed features are [pairs, features]."""
        ...


def summed(
    features: Callable[[OpTable], NDArray[np.float64]], table: OpTable
) -> NDArray[np.float64]:
    """Sum op features over each program: shape [programs, features].

    `features` returns the features of one occurrence of each op, of shape [rows, features].
    """
    parts = []
    for start in range(0, len(table), _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        columns = {name: getattr(table, name)[rows] for name in COLUMNS}
        parts.append(features(OpTable(**columns, programs=table.programs)))
    return np.stack([table.per_program(column) for column in np.concatenate(parts).T], axis=1)


@dataclass(frozen=True)
class Posterior:
    """A normal distribution: mean [D] and covariance [D, D]."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def mapped(
        self, matrix: NDArray[np.float64], origin: NDArray[np.float64] | float = 0.0
    ) -> Posterior:
        """The distribution of `origin + matrix @ x`, where x has this distribution."""
        return Posterior(origin + matrix @ self.mean, matrix @ self.covariance @ matrix.T)


@dataclass(frozen=True)
class RooflineTimes:
    """A roofline whose log constants (`roofline.CONSTANTS`) have a normal distribution, `logs`.

    The features of an op are its time in ms and the derivatives of this time by the log constants.
    """

    logs: Posterior

    @cached_property
    def roofline(self) -> Roofline:
        """The roofline at the mean of the log constants."""
        return Roofline.from_logs(self.logs.mean)

    def op_features(self, table: OpTable) -> NDArray[np.float64]:
        return np.column_stack([self.roofline.op_ms(table), self.roofline.op_gradient(table)])

    def from_sums(self, sums: NDArray[np.float64]) -> Estimate:
        ms = self.roofline.floor_ms + sums[:, 0]
        return Estimate(ms, self._std(self._log_gradient(sums)), self.roofline.floor_ms / ms)

    def difference(self, sums: NDArray[np.float64], others: NDArray[np.float64]) -> Difference:
        gradient = self._log_gradient(sums) - self._log_gradient(others)
        # The derivative by the log of the fixed time per program is its share in the time.
        share = gradient[:, CONSTANTS.index("program_ms")]
        return Difference(self._std(gradient), share, np.linalg.norm(gradient, axis=1))

    def _std(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviations along gradients by the log constants: [rows, constants] to [rows]."""
        variance = ((gradient @ self.logs.covariance) * gradient).sum(axis=1)
        return np.sqrt(np.maximum(variance, 0))

    def log_gradient(self, table: OpTable) -> NDArray[np.float64]:
        """Derivatives of each program's log time by the log constants: [programs, constants]."""
        return self._log_gradient(summed(self.op_features, table))

    def _log_gradient(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        floor_ms = self.roofline.floor_ms
        gradient = sums[:, 1:] / (floor_ms + sums[:, :1])
        gradient[:, CONSTANTS.index("program_ms")] += floor_ms / (floor_ms + sums[:, 0])
        return gradient

    def estimate(self, table: OpTable) -> Estimate:
        return self.from_sums(summed(self.op_features, table))
