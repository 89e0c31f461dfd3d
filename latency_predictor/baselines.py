"""What the calibrated roofline has to beat, at equal data.

Straight lines in MACs and in sums of features over the ops, which are additive with weights that
cannot be negative and so meet the same contract; gradient boosting on the same sums, which is not;
and the roofline as its priors have it, before it learns anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge

from latency_predictor import priors
from latency_predictor.interval import NOISE, SOURCE_SPREAD
from latency_predictor.measurements import Measurements
from latency_predictor.ops import OpTable
from latency_predictor.roofline import CONSTANTS, Cost, cost_of
from latency_predictor.times import Estimate, Fitted, Posterior, RooflineTimes, Times, summed

Features = Callable[[OpTable], NDArray[np.float64]]

_RIDGE = 0.1
_SEED = 0


@dataclass(frozen=True)
class LinearTimes:
    """`floor_ms + features(op) @ weights`."""

    features: Features
    floor_ms: float
    weights: NDArray[np.float64]

    def op_features(self, table: OpTable) -> NDArray[np.float64]:
        return (self.features(table) @ self.weights)[:, None]

    def from_sums(self, sums: NDArray[np.float64]) -> Estimate:
        return _certain(self.floor_ms + sums[:, 0])

    def estimate(self, table: OpTable) -> Estimate:
        return self.from_sums(summed(self.op_features, table))


@dataclass(frozen=True)
class BoostedTimes:
    """Gradient-boosted trees on the log of a program's latency; they cannot extrapolate."""

    trees: GradientBoostingRegressor

    def estimate(self, table: OpTable) -> Estimate:
        return _certain(np.exp(self.trees.predict(_program_features(table))))


def gmacs(table: OpTable) -> NDArray[np.float64]:
    """Multiply-accumulates in billions: shape [rows, 1]."""
    return table.macs[:, None] / 1e9


def op_features(table: OpTable) -> NDArray[np.float64]:
    """Count, GMACs and moved MB by cost class, and weight MB: shape [rows, 3 * classes + 1]."""
    one_hot = np.eye(len(Cost))[cost_of(table)]
    moved = (table.in_bytes + table.out_bytes)[:, None] / 1e6
    return np.hstack(
        [one_hot, one_hot * gmacs(table), one_hot * moved, table.weight_bytes[:, None] / 1e6]
    )


def fit_macs_only(measurements: Measurements) -> Fitted:
    """A floor and a rate per calibration."""
    return _fit(measurements, lambda rows: _fit_linear(rows, gmacs))


def fit_ridge(measurements: Measurements) -> Fitted:
    """Ridge regression of latency on summed op features, per calibration."""
    return _fit(measurements, lambda rows: _fit_linear(rows, op_features))


def fit_boosting(measurements: Measurements) -> Fitted:
    """Gradient boosting of log latency on summed op features, per calibration."""
    return _fit(measurements, _fit_trees)


def unlearned_roofline(measurements: Measurements) -> Fitted:
    """The roofline of the priors' centres; of the data only the sources' offsets are used."""
    ignorance = np.zeros((len(CONSTANTS), len(CONSTANTS)))

    def times(rows: Measurements) -> Times:
        return RooflineTimes(Posterior(priors.centre(rows.calibration[0]), ignorance))

    return _fit(measurements, times)


def _certain(ms: NDArray[np.float64]) -> Estimate:
    return Estimate(ms, np.zeros_like(ms))


def _fit(measurements: Measurements, fit: Callable[[Measurements], Times]) -> Fitted:
    """`fit` for each calibration, and the shrunken mean log error of each source."""
    times: dict[str, Times] = {}
    offsets: dict[str, float] = {}
    for calibration in np.unique(measurements.calibration).tolist():
        rows = measurements.where(measurements.calibration == calibration)
        times[calibration] = fit(rows)
        ms = times[calibration].estimate(rows.table).ms[rows.program]
        keys = rows.source_key
        for key in np.unique(keys).tolist():
            errors = np.log(rows.ms / ms)[keys == key]
            offsets[key] = float(errors.sum() / (len(errors) + (NOISE / SOURCE_SPREAD) ** 2))
    return Fitted(times, offsets)


def _program_features(table: OpTable) -> NDArray[np.float64]:
    sums = summed(op_features, table)
    totals = table.totals()
    return np.column_stack([sums, *(np.log1p(total) for total in totals.values())])


def _fit_trees(rows: Measurements) -> BoostedTimes:
    trees = GradientBoostingRegressor(random_state=_SEED)
    return BoostedTimes(trees.fit(_program_features(rows.table)[rows.program], np.log(rows.ms)))


def _fit_linear(rows: Measurements, features: Features) -> LinearTimes:
    sums = summed(features, rows.table)
    # Dividing by the latency makes errors count in proportion, as everywhere else.
    design = np.column_stack([np.ones(len(rows)), sums[rows.program]]) / rows.ms[:, None]
    scale = np.maximum(np.sqrt((design**2).mean(axis=0)), 1e-12)
    ridge = Ridge(alpha=_RIDGE, fit_intercept=False, positive=True)
    ridge.fit(design / scale, np.ones(len(rows)))
    floor, *weights = ridge.coef_ / scale
    return LinearTimes(features, float(floor), np.array(weights))
