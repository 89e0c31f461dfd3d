"""Baselines that the calibrated roofline is compared with, fitted to the same data.

There are two linear models, one in MACs and one in op features, both summed over a program. They
are additive with non-negative weights, so they implement `AdditiveTimes`, as the roofline does.
Gradient boosting uses the same sums but is not additive. The last baseline is the roofline with the
constants of its priors, before any calibration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge

from latency_predictor.model import priors
from latency_predictor.model.interval import LEVEL_SPREAD, NOISE
from latency_predictor.model.roofline import CONSTANTS, Cost, cost_of
from latency_predictor.model.times import (
    Difference,
    Estimate,
    Fitted,
    Posterior,
    RooflineTimes,
    Times,
    summed,
)
from latency_predictor.ops import OpTable
from latency_predictor.profiles.measurements import Measurements

Features = Callable[[OpTable], NDArray[np.float64]]

_RIDGE = 0.1
_SEED = 0


@dataclass(frozen=True)
class LinearTimes:
    """A linear model of latency, with one weight per op feature and a constant `floor_ms`.

    The time of a program, in ms, is `floor_ms` plus `features(op) @ weights` summed over its ops.
    """

    features: Features
    floor_ms: float
    weights: NDArray[np.float64]

    def op_features(self, table: OpTable) -> NDArray[np.float64]:
        return (self.features(table) @ self.weights)[:, None]

    def from_sums(self, sums: NDArray[np.float64]) -> Estimate:
        return _certain(self.floor_ms + sums[:, 0])

    def difference(self, sums: NDArray[np.float64], others: NDArray[np.float64]) -> Difference:
        unknown = np.zeros(len(sums))
        return Difference(unknown, unknown, unknown)

    def estimate(self, table: OpTable) -> Estimate:
        return self.from_sums(summed(self.op_features, table))


@dataclass(frozen=True)
class BoostedTimes:
    """Gradient-boosted trees that predict the log of a program's latency.

    They cannot extrapolate beyond the latencies that they were fitted to.
    """

    trees: GradientBoostingRegressor

    def estimate(self, table: OpTable) -> Estimate:
        return _certain(np.exp(self.trees.predict(_program_features(table))))


def gmacs(table: OpTable) -> NDArray[np.float64]:
    """Multiply-accumulates of one occurrence of each op, in billions: shape [rows, 1]."""
    return table.macs[:, None] / 1e9


def op_features(table: OpTable) -> NDArray[np.float64]:
    """Features of one occurrence of each op: shape [rows, 3 * classes + 1].

    There are three features per class of `roofline.Cost`: the count 1, GMACs, and MB of activations
    read and written. They are 0 for all classes but the op's own. The last feature is the MB of the
    op's weights.
    """
    one_hot = np.eye(len(Cost))[cost_of(table)]
    moved = (table.in_bytes + table.out_bytes)[:, None] / 1e6
    return np.hstack(
        [one_hot, one_hot * gmacs(table), one_hot * moved, table.weight_bytes[:, None] / 1e6]
    )


def fit_macs_only(measurements: Measurements) -> Fitted:
    """Fit a linear regression of latency on MACs, with an intercept, for each calibration."""
    return _fit(measurements, lambda rows: _fit_linear(rows, gmacs))


def fit_ridge(measurements: Measurements) -> Fitted:
    """Fit a ridge regression of latency on the summed op features for each calibration."""
    return _fit(measurements, lambda rows: _fit_linear(rows, op_features))


def fit_boosting(measurements: Measurements) -> Fitted:
    """Fit boosted trees to the log latency over the summed op features for each calibration."""
    return _fit(measurements, _fit_trees)


def unlearned_roofline(measurements: Measurements) -> Fitted:
    """The roofline whose constants are the centres of their priors.

    Only the offsets of the sources are fitted to the measurements.
    """
    no_covariance = np.zeros((len(CONSTANTS), len(CONSTANTS)))

    def times(rows: Measurements) -> Times:
        return RooflineTimes(Posterior(priors.centre(rows.calibration[0]), no_covariance))

    return _fit(measurements, times)


def _certain(ms: NDArray[np.float64]) -> Estimate:
    return Estimate(ms, np.zeros_like(ms), np.zeros_like(ms))


def _fit(measurements: Measurements, fit: Callable[[Measurements], Times]) -> Fitted:
    """Apply `fit` to each calibration. A source's offset is its mean log error, shrunk to zero."""
    times: dict[str, Times] = {}
    offsets: dict[str, float] = {}
    for calibration in np.unique(measurements.calibration).tolist():
        rows = measurements.where(measurements.calibration == calibration)
        times[calibration] = fit(rows)
        ms = times[calibration].estimate(rows.table).ms[rows.program]
        keys = rows.source_key
        for key in np.unique(keys).tolist():
            errors = np.log(rows.ms / ms)[keys == key]
            offsets[key] = float(errors.sum() / (len(errors) + (NOISE / LEVEL_SPREAD) ** 2))
    return Fitted(times, offsets, {})


def _program_features(table: OpTable) -> NDArray[np.float64]:
    sums = summed(op_features, table)
    totals = table.totals()
    return np.column_stack([sums, *(np.log1p(total) for total in totals.values())])


def _fit_trees(rows: Measurements) -> BoostedTimes:
    trees = GradientBoostingRegressor(random_state=_SEED)
    return BoostedTimes(trees.fit(_program_features(rows.table)[rows.program], np.log(rows.ms)))


def _fit_linear(rows: Measurements, features: Features) -> LinearTimes:
    sums = summed(features, rows.table)
    # Dividing by the latency makes the errors relative, as in the other models.
    design = np.column_stack([np.ones(len(rows)), sums[rows.program]]) / rows.ms[:, None]
    scale = np.maximum(np.sqrt((design**2).mean(axis=0)), 1e-12)
    ridge = Ridge(alpha=_RIDGE, fit_intercept=False, positive=True)
    ridge.fit(design / scale, np.ones(len(rows)))
    floor, *weights = ridge.coef_ / scale
    return LinearTimes(features, float(floor), np.array(weights))
