"""A roofline whose residuals a Gaussian process learns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from latency_predictor.model.crossval import folds_by_family, held_out
from latency_predictor.model.interval import NOISE
from latency_predictor.model.recalibrate import fit_rooflines
from latency_predictor.model.roofline import Cost, cost_of
from latency_predictor.model.times import Estimate, Fitted, RooflineTimes, Times
from latency_predictor.ops import OpTable
from latency_predictor.profiles.measurements import Measurements


@dataclass(frozen=True)
class ResidualTimes:
    """The times of a roofline, multiplied by a factor learned from `cost_shares`."""

    base: RooflineTimes
    process: GaussianProcessRegressor
    """Predicts the logarithm of the factor."""

    def estimate(self, table: OpTable) -> Estimate:
        """Estimates of all programs. All but the time is that of the roofline."""
        found = self.base.estimate(table)
        log_factors = self.process.predict(cost_shares(self.base, table))
        return replace(found, ms=found.ms * np.exp(log_factors))


def cost_shares(times: RooflineTimes, table: OpTable) -> NDArray[np.float64]:
    """Share of each class of op in a program's time, and the time's log / 10.

    Shape [programs, features].
    """
    op_ms, classes = times.roofline.op_ms(table), cost_of(table)
    by_class = [table.per_program(op_ms * (classes == cost)) for cost in Cost]
    ms = times.estimate(table).ms
    return np.column_stack([*(part / ms for part in by_class), np.log(ms) / 10])


def fit_with_residual(measurements: Measurements) -> Fitted:
    """Fit rooflines, and a process to their residuals on families that they did not see."""
    fitted = fit_rooflines(measurements)
    inner = held_out(measurements, folds_by_family(measurements), fit_rooflines).within_source
    residuals = np.log(measurements.ms / inner.ms)
    found: dict[str, Times] = {}
    for key, times in fitted.times.items():
        here = measurements.calibration == key
        assert isinstance(times, RooflineTimes)
        features = cost_shares(times, measurements.table)[measurements.program[here]]
        kernel = ConstantKernel(0.01, "fixed") * RBF(0.2, "fixed")
        process = GaussianProcessRegressor(kernel, alpha=NOISE**2)
        found[key] = ResidualTimes(times, process.fit(features, residuals[here]))
    return Fitted(found, fitted.offsets, fitted.overheads)
