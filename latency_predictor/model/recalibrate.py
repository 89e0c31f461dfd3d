"""Make an artefact from profile rows: join them with op lists, fit, and cross-validate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latency_predictor.model.artefact import Artefact
from latency_predictor.model.baselines import (
    fit_boosting,
    fit_macs_only,
    fit_ridge,
    unlearned_roofline,
)
from latency_predictor.model.calibration import fit_calibrations
from latency_predictor.model.crossval import (
    Fit,
    Folds,
    folds_at_random,
    folds_by_family,
    held_out,
    held_out_factors,
)
from latency_predictor.model.metrics import Scores, score_by
from latency_predictor.model.priors import group_of
from latency_predictor.model.times import Estimate, Fitted
from latency_predictor.model.unseen import (
    has_few_rows,
    intervals,
    ratio_quantile,
    unseen_devices,
)
from latency_predictor.profiles import lowered
from latency_predictor.profiles.measurements import Measurements, join_op_lists
from latency_predictor.profiles.rows import op_lists, read_rows, usable_rows
from latency_predictor.profiles.table import (
    ProfileError,
    fingerprint,
    shipped_profiles,
    usable,
)


def fit_rooflines(measurements: Measurements) -> Fitted:
    """Fit a roofline to each calibration.

    The signature is that of the functions that fit the baselines.
    """
    return fit_calibrations(measurements).fitted()


MODELS: dict[str, Fit] = {
    "roofline": fit_rooflines,
    "ridge": fit_ridge,
    "gradient_boosting": fit_boosting,
    "macs_only": fit_macs_only,
    "unlearned_roofline": unlearned_roofline,
}
PROTOCOLS = {"held_out_family": folds_by_family, "random_split": folds_at_random}


def calibration_rows(added: Path | None) -> tuple[pd.DataFrame, lowered.Lowered]:
    """The usable rows of the shipped profiles and of the file `added`, and the file's op lists.

    The column `added` tells the rows of the file from the shipped ones. Raises `ProfileError`
    if the file cannot be used or has no row that can calibrate a device.
    """
    rows = usable(shipped_profiles()).assign(added=False)
    if added is None:
        return rows, {}
    found, tables = read_rows(added)
    more = usable_rows(found)
    more = more[more["calibration"].notna()]
    if more.empty:
        raise ProfileError(f"profiles {str(added)!r} has no row that can calibrate a device")
    return pd.concat([rows, more.assign(added=True)], ignore_index=True), tables


def recalibrate(rows: pd.DataFrame, known: lowered.Lowered) -> Artefact:
    """Fit and cross-validate the rooflines of all calibrations in usable rows.

    Calibrations that `has_few_rows` selects are fitted too, but have the interval of a device
    without rows and take no part in cross-validation. Networks that are not in `known` are traced.
    Raises `ProfileError` if a network cannot be rebuilt, or if another calibration has too few rows
    or families of networks for cross-validation.
    """
    measurements = join_op_lists(rows, op_lists(rows, known))
    few = has_few_rows(measurements)
    validated = measurements.where(~few)
    _check_can_be_held_out(validated)
    fitted = fit_calibrations(measurements)
    calibrated = intervals(validated, fit_rooflines)
    unseen = unseen_devices(validated, calibrated)
    sparse = np.unique(measurements.calibration[few]).tolist()
    return Artefact(
        calibration_sha256=fingerprint(rows),
        calibration_rows=len(rows),
        devices=fitted.devices,
        common=fitted.common,
        offsets=fitted.offsets,
        intervals=calibrated | {key: unseen[group_of(key)] for key in sparse},
        unseen=unseen,
        ratio_quantile=ratio_quantile(validated),
        cross_validation=cross_validation(validated),
    )


def _check_can_be_held_out(measurements: Measurements) -> None:
    for folds in PROTOCOLS.values():
        numbers = folds(measurements)
        for key in np.unique(measurements.calibration).tolist():
            if len(np.unique(numbers[measurements.calibration == key])) < 2:
                raise ProfileError(
                    f"{key} has too few rows or too few families of networks for "
                    "cross-validation; 5 rows of different families are enough"
                )


def cross_validation(measurements: Measurements) -> dict[str, Any]:
    """The result of `scores` for each of `PROTOCOLS` and each of `MODELS`, by their names."""
    return {
        protocol: {
            model: scores(measurements, folds(measurements), fit) for model, fit in MODELS.items()
        }
        for protocol, folds in PROTOCOLS.items()
    }


def scores(measurements: Measurements, folds: Folds, fit: Fit) -> dict[str, dict[str, Scores]]:
    """Scores of predictions for held-out rows, by calibration and by source.

    `pooled` has the scores of each calibration, for predictions without offsets, as they would be
    for a source without measurements. The other two are for predictions that include the offset of
    the row's source, fitted to other rows of that source: `within_source` has their scores for each
    calibration, and `by_source` for each calibration and source.
    """
    unseen = held_out(measurements, folds, fit)

    def scored(labels: Any, estimate: Estimate, new_source: bool) -> dict[str, Scores]:
        factors = held_out_factors(
            measurements, folds, estimate, measurements.calibration, measurements.family, new_source
        )
        ms = estimate.ms
        return score_by(labels, ms, measurements.ms, ms / factors, ms * factors)

    return {
        "pooled": scored(measurements.calibration, unseen.pooled, True),
        "within_source": scored(measurements.calibration, unseen.within_source, False),
        "by_source": scored(measurements.source_key, unseen.within_source, False),
    }
