"""Cross-validation: predictions for rows that a model was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold

from latency_predictor.model.interval import NOISE, SOURCE_SPREAD, Interval
from latency_predictor.model.times import Estimate, Fitted
from latency_predictor.profiles.measurements import Measurements

FOLDS = 10
_SEED = 0


Fit = Callable[[Measurements], Fitted]
Folds = NDArray[np.int64]


def folds_by_family(measurements: Measurements) -> Folds:
    """Number of the fold of each row: shape [rows].

    All rows of a family of networks, on any device, are in the same fold.
    """
    families = len(np.unique(measurements.family))
    splits = GroupKFold(min(FOLDS, families)).split(measurements.ms, groups=measurements.family)
    return _numbered(splits, len(measurements))


def folds_at_random(measurements: Measurements) -> Folds:
    """Number of the fold of each row, drawn at random: shape [rows].

    Scores on these folds are optimistic, because a model is fitted to relatives of the networks
    that it is scored on.
    """
    splits = KFold(FOLDS, shuffle=True, random_state=_SEED).split(measurements.ms)
    return _numbered(splits, len(measurements))


def _numbered(splits: Iterator[tuple[Folds, Folds]], rows: int) -> Folds:
    folds = np.empty(rows, dtype=np.int64)
    for number, (_, held_out) in enumerate(splits):
        folds[held_out] = number
    return folds


def estimates(fitted: Fitted, data: Measurements, within_source: bool = False) -> Estimate:
    """Estimate the latency of each row: shape [rows].

    With `within_source`, each estimate includes the fitted offset of the row's source.
    """
    ms, epistemic_std = np.empty(len(data)), np.empty(len(data))
    for key in np.unique(data.calibration).tolist():
        here = data.calibration == key
        estimate = fitted.times[key].estimate(data.table)
        ms[here] = estimate.ms[data.program[here]]
        epistemic_std[here] = estimate.epistemic_std[data.program[here]]
    if within_source:
        ms *= np.exp([fitted.offsets.get(key, 0.0) for key in data.source_key.tolist()])
    return Estimate(ms, epistemic_std)


@dataclass(frozen=True)
class HeldOut:
    """Estimates of each row by a model that was fitted to the other folds.

    `pooled` leaves out the offset of the row's source, and `within_source` includes it.
    """

    pooled: Estimate
    within_source: Estimate


def held_out(measurements: Measurements, folds: Folds, fit: Fit) -> HeldOut:
    """For each fold, fit a model to all other folds and estimate the rows of the fold."""
    rows = len(measurements)
    found = [Estimate(np.empty(rows), np.empty(rows)) for _ in range(2)]
    for fold in np.unique(folds):
        there, here = measurements.where(folds != fold), folds == fold
        fitted = fit(there)
        for whole, within_source in zip(found, (False, True), strict=True):
            part = estimates(fitted, measurements.where(here), within_source)
            whole.ms[here], whole.epistemic_std[here] = part.ms, part.epistemic_std
    return HeldOut(*found)


def rows_of(estimate: Estimate, rows: NDArray[np.generic]) -> Estimate:
    """The estimates of the rows that a mask or an index array selects."""
    return Estimate(estimate.ms[rows], estimate.epistemic_std[rows])


def intervals(measurements: Measurements, pooled: Estimate) -> dict[str, Interval]:
    """Interval of each calibration, from the held-out estimates `pooled` of its rows."""
    here = {key: measurements.calibration == key for key in np.unique(measurements.calibration)}
    noise = float(np.hypot(NOISE, SOURCE_SPREAD))
    return {
        str(key): Interval.of(rows_of(pooled, rows), measurements.ms[rows], noise)
        for key, rows in here.items()
    }


def held_out_factors(
    measurements: Measurements, folds: Folds, estimate: Estimate, noise: float
) -> NDArray[np.float64]:
    """Interval factor of each row, from errors on rows of other folds: shape [rows].

    Only rows with the same calibration count. `noise` is the standard deviation of the log of a
    measurement.
    """
    factors = np.empty(len(measurements))
    for calibration in np.unique(measurements.calibration):
        here = measurements.calibration == calibration
        for fold in np.unique(folds[here]):
            others, rows = here & (folds != fold), here & (folds == fold)
            interval = Interval.of(rows_of(estimate, others), measurements.ms[others], noise)
            factors[rows] = interval.factor(rows_of(estimate, rows))
    return factors
