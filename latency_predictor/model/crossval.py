"""Cross-validation: predictions for rows that a model was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold

from latency_predictor.model.interval import Interval
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


def folds_by_source(measurements: Measurements) -> Folds:
    """Number of the fold of each row, one fold per source: shape [rows]."""
    return np.unique(measurements.source, return_inverse=True)[1].astype(np.int64)


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

    With `within_source`, each estimate includes the fitted effects of the row's source.
    """
    found = empty(len(data))
    for key in np.unique(data.calibration).tolist():
        here = data.calibration == key
        put(found, here, rows_of(fitted.times[key].estimate(data.table), data.program[here]))
    if within_source:
        keys = data.source_key.tolist()
        overheads = np.array([fitted.overheads.get(key, 0.0) for key in keys])
        found.ms[:] *= 1 + found.overhead_share * np.expm1(overheads)
        found.ms[:] *= np.exp([fitted.offsets.get(key, 0.0) for key in keys])
    return found


@dataclass(frozen=True)
class HeldOut:
    """Estimates of each row by a model that was fitted to the other folds.

    `pooled` leaves out the effects of the row's source, and `within_source` includes them.
    """

    pooled: Estimate
    within_source: Estimate


def held_out(measurements: Measurements, folds: Folds, fit: Fit) -> HeldOut:
    """For each fold, fit a model to all other folds and estimate the rows of the fold."""
    found = [empty(len(measurements)) for _ in range(2)]
    for fold in np.unique(folds):
        there, here = measurements.where(folds != fold), folds == fold
        fitted = fit(there)
        for whole, within_source in zip(found, (False, True), strict=True):
            put(whole, here, estimates(fitted, measurements.where(here), within_source))
    return HeldOut(*found)


def empty(rows: int) -> Estimate:
    """Estimates of so many rows, to be set by `put`."""
    return Estimate(np.empty(rows), np.empty(rows), np.empty(rows))


def put(whole: Estimate, rows: NDArray[np.generic], part: Estimate) -> None:
    """Replace the estimates of the rows that a mask or an index array selects."""
    whole.ms[rows] = part.ms
    whole.epistemic_std[rows] = part.epistemic_std
    whole.overhead_share[rows] = part.overhead_share


def rows_of(estimate: Estimate, rows: NDArray[np.generic]) -> Estimate:
    """The estimates of the rows that a mask or an index array selects."""
    return Estimate(estimate.ms[rows], estimate.epistemic_std[rows], estimate.overhead_share[rows])


def held_out_factors(
    measurements: Measurements,
    folds: Folds,
    estimate: Estimate,
    alike: NDArray[np.generic],
    groups: NDArray[np.generic],
    new_source: bool,
) -> NDArray[np.float64]:
    """Interval factor of each row, from errors on rows of other folds: shape [rows].

    Only rows with the same label in `alike` count. `groups` and `new_source` are those of
    `Interval.of`.
    """
    factors = np.empty(len(measurements))
    for label in np.unique(alike):
        here = alike == label
        for fold in np.unique(folds[here]):
            others, rows = here & (folds != fold), here & (folds == fold)
            interval = Interval.of(
                rows_of(estimate, others), measurements.ms[others], groups[others], new_source
            )
            factors[rows] = interval.factor(rows_of(estimate, rows))
    return factors
