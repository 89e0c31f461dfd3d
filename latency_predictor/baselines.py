"""What the roofline has to beat: straight lines in MACs, and in sums of features over the ops.

Both are additive with weights that cannot be negative, so they meet the same contract as the
roofline: a program never becomes faster by gaining an op.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from latency_predictor.measurements import Measurements
from latency_predictor.ops import OpTable
from latency_predictor.roofline import Cost, cost_of

Features = Callable[[OpTable], NDArray[np.float64]]

_RIDGE = 0.1


class LinearTimes:
    """`floor_ms + features(op) @ weights`."""

    def __init__(self, features: Features, floor_ms: float, weights: NDArray[np.float64]) -> None:
        self.floor_ms = floor_ms
        self._features = features
        self._weights = weights

    def op_ms(self, table: OpTable) -> NDArray[np.float64]:
        return self._features(table) @ self._weights


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


def fit_macs_only(measurements: Measurements) -> dict[str, LinearTimes]:
    """A floor and a rate per calibration."""
    return _fit(measurements, gmacs)


def fit_ridge(measurements: Measurements) -> dict[str, LinearTimes]:
    """Ridge regression of latency on summed op features, per calibration."""
    return _fit(measurements, op_features)


def _fit(measurements: Measurements, features: Features) -> dict[str, LinearTimes]:
    per_op = features(measurements.table)
    sums = np.stack([measurements.table.per_program(column) for column in per_op.T], axis=1)
    fitted = {}
    for calibration in np.unique(measurements.calibration).tolist():
        rows = measurements.where(measurements.calibration == calibration)
        # Dividing by the latency makes errors count in proportion, as everywhere else.
        design = np.column_stack([np.ones(len(rows)), sums[rows.program]]) / rows.ms[:, None]
        scale = np.maximum(np.sqrt((design**2).mean(axis=0)), 1e-12)
        ridge = Ridge(alpha=_RIDGE, fit_intercept=False, positive=True)
        ridge.fit(design / scale, np.ones(len(rows)))
        floor, *weights = ridge.coef_ / scale
        fitted[calibration] = LinearTimes(features, float(floor), np.array(weights))
    return fitted
