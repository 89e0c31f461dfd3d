"""From profile rows to an artefact: join, cross-validate, fit, and say how good the fit is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_predictor import lowered
from latency_predictor.artefact import Artefact
from latency_predictor.baselines import fit_macs_only, fit_ridge
from latency_predictor.calibration import fit_constants, fit_rooflines
from latency_predictor.crossval import (
    Fit,
    folds_at_random,
    folds_by_family,
    held_out_factors,
    held_out_ms,
    interval_factors,
)
from latency_predictor.measurements import Measurements, join
from latency_predictor.metrics import score, score_by
from latency_predictor.profiles import SHIPPED, ProfileError, fingerprint, read_profiles, usable

MODELS: dict[str, Fit] = {
    "roofline": fit_rooflines,
    "ridge": fit_ridge,
    "macs_only": fit_macs_only,
}
PROTOCOLS = {"held_out_family": folds_by_family, "random_split": folds_at_random}


def calibration_rows(added: Path | None) -> pd.DataFrame:
    """The rows to fit to: the shipped ones and, if a file is named, its own. `ProfileError`."""
    rows = usable(read_profiles(SHIPPED))
    if added is None:
        return rows
    more = usable(read_profiles(added))
    more = more[more["calibration"].notna()]
    if more.empty:
        raise ProfileError(f"profiles {str(added)!r} has no row that can calibrate a device")
    return pd.concat([rows, more], ignore_index=True)


def recalibrate(rows: pd.DataFrame, known: lowered.Lowered) -> Artefact:
    """Fit the roofline to usable rows. Raises `ProfileError` where a network is unknown."""
    tables, failed = lowered.lower_all(rows["network"], known)
    if failed:
        raise ProfileError("; ".join(failed.values()))
    measurements = join(rows, tables)
    _check_can_be_held_out(measurements)
    constants = fit_constants(measurements)
    by_family = folds_by_family(measurements)
    held_out = held_out_ms(measurements, by_family, fit_rooflines)
    return Artefact(
        calibration_sha256=fingerprint(rows),
        calibration_rows=len(rows),
        rooflines=constants.rooflines,
        offsets=constants.offsets,
        interval=interval_factors(measurements, held_out),
        cross_validation=cross_validation(measurements),
    )


def _check_can_be_held_out(measurements: Measurements) -> None:
    for folds in PROTOCOLS.values():
        numbers = folds(measurements)
        for key in np.unique(measurements.calibration).tolist():
            if len(np.unique(numbers[measurements.calibration == key])) < 2:
                raise ProfileError(
                    f"{key} has too few rows or too few families of networks to hold some out; "
                    "5 rows of different families are enough"
                )


def cross_validation(measurements: Measurements) -> dict[str, Any]:
    """Scores by protocol and model."""
    return {
        protocol: {
            model: _cross_validated(measurements, folds(measurements), fit)
            for model, fit in MODELS.items()
        }
        for protocol, folds in PROTOCOLS.items()
    }


def _cross_validated(
    measurements: Measurements, folds: NDArray[np.int64], fit: Fit
) -> dict[str, Any]:
    predicted = held_out_ms(measurements, folds, fit)
    factors = held_out_factors(measurements, folds, predicted)
    arrays = (predicted, measurements.ms, predicted / factors, predicted * factors)
    return {
        "overall": score(*arrays),
        "per_calibration": score_by(measurements.calibration, *arrays),
        "per_source": score_by(measurements.source, *arrays),
    }
