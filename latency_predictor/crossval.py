"""Predictions for rows that the model did not see, and the intervals that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold

from latency_predictor.interface import OpTimes, program_ms
from latency_predictor.measurements import Measurements

FOLDS = 10
COVERAGE = 0.9
_SEED = 0

Fit = Callable[[Measurements], Mapping[str, OpTimes]]
Folds = NDArray[np.int64]


def folds_by_family(measurements: Measurements) -> Folds:
    """Fold of each row; a family of networks is in one fold, on every device."""
    families = len(np.unique(measurements.family))
    splits = GroupKFold(min(FOLDS, families)).split(measurements.ms, groups=measurements.family)
    return _numbered(splits, len(measurements))


def folds_at_random(measurements: Measurements) -> Folds:
    """Fold of each row; flatters, since relatives of a row remain in the training set."""
    splits = KFold(FOLDS, shuffle=True, random_state=_SEED).split(measurements.ms)
    return _numbered(splits, len(measurements))


def _numbered(splits: Iterator[tuple[Folds, Folds]], rows: int) -> Folds:
    folds = np.empty(rows, dtype=np.int64)
    for number, (_, held_out) in enumerate(splits):
        folds[held_out] = number
    return folds


def held_out_ms(measurements: Measurements, folds: Folds, fit: Fit) -> NDArray[np.float64]:
    """Prediction of each row by a model fitted to the other folds: shape [rows]."""
    predicted = np.empty(len(measurements))
    for fold in np.unique(folds):
        times = fit(measurements.where(folds != fold))
        predicted[folds == fold] = row_ms(times, measurements.where(folds == fold))
    return predicted


def row_ms(times: Mapping[str, OpTimes], measurements: Measurements) -> NDArray[np.float64]:
    """Prediction of each row: shape [rows]."""
    predicted = np.empty(len(measurements))
    for calibration in np.unique(measurements.calibration).tolist():
        rows = measurements.calibration == calibration
        of_program = program_ms(times[calibration], measurements.table)
        predicted[rows] = of_program[measurements.program[rows]]
    return predicted


def interval_factor(predicted_ms: NDArray[np.float64], ms: NDArray[np.float64]) -> float:
    """Factor f so that [p / f, p * f] holds the truth with probability `COVERAGE`.

    Split conformal prediction on absolute log errors (Lei et al. 2018, doi:
    10.1080/01621459.2017.1307116), with its finite-sample rank.
    """
    errors = np.sort(np.abs(np.log(predicted_ms / ms)))
    rank = int(np.ceil((len(errors) + 1) * COVERAGE))
    return float(np.exp(errors[min(rank, len(errors)) - 1]))


def interval_factors(measurements: Measurements, held_out: NDArray[np.float64]) -> dict[str, float]:
    """Interval factor of each calibration, from held-out predictions of its rows."""
    here = {key: measurements.calibration == key for key in np.unique(measurements.calibration)}
    return {
        str(key): interval_factor(held_out[rows], measurements.ms[rows])
        for key, rows in here.items()
    }


def held_out_factors(
    measurements: Measurements, folds: Folds, predicted_ms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interval factor of each row from the other folds' errors on its calibration: [rows]."""
    factors = np.empty(len(measurements))
    for calibration in np.unique(measurements.calibration):
        here = measurements.calibration == calibration
        for fold in np.unique(folds[here]):
            others = here & (folds != fold)
            factors[here & (folds == fold)] = interval_factor(
                predicted_ms[others], measurements.ms[others]
            )
    return factors
