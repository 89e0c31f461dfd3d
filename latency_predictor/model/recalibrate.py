"""Make an artefact from profile rows: join them with op lists, fit, and cross-validate."""

from __future__ import annotations

from collections.abc import Mapping
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
    intervals,
    rows_of,
)
from latency_predictor.model.interval import NOISE, SOURCE_SPREAD, Interval
from latency_predictor.model.metrics import Scores, score_by
from latency_predictor.model.priors import group_of, prior_of
from latency_predictor.model.times import Estimate, Fitted, RooflineTimes
from latency_predictor.profiles import lowered
from latency_predictor.profiles.measurements import Measurements, join_op_lists
from latency_predictor.profiles.rows import op_lists, read_rows, usable_rows
from latency_predictor.profiles.table import (
    SHIPPED_PROFILES,
    ProfileError,
    fingerprint,
    read_profiles,
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
    rows = usable(read_profiles(SHIPPED_PROFILES)).assign(added=False)
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

    Networks that are not in `known` are traced. Raises `ProfileError` if a network cannot be
    rebuilt, or if a calibration has too few rows or families of networks for cross-validation.
    """
    measurements = join_op_lists(rows, op_lists(rows, known))
    _check_can_be_held_out(measurements)
    fitted = fit_calibrations(measurements)
    unseen = held_out(measurements, folds_by_family(measurements), fit_rooflines)
    calibrated = intervals(measurements, unseen.pooled)
    return Artefact(
        calibration_sha256=fingerprint(rows),
        calibration_rows=len(rows),
        devices=fitted.devices,
        common=fitted.common,
        offsets=fitted.offsets,
        intervals=calibrated,
        unseen=unseen_devices(measurements, calibrated),
        cross_validation=cross_validation(measurements),
    )


def unseen_devices(
    measurements: Measurements, calibrated: Mapping[str, Interval]
) -> dict[str, Interval]:
    """Interval of a device without measurements, for each group of more than one calibration.

    Each device of a group is predicted as if it had not been measured (`from_others`). The
    interval's `quantile` is that of the device with the largest errors, and its `checked` is the
    largest among the intervals `calibrated` of the group.
    """
    groups = np.array([group_of(key) for key in measurements.calibration.tolist()])
    found = {}
    for group in np.unique(groups).tolist():
        rows = measurements.where(groups == group)
        keys = np.unique(rows.calibration).tolist()
        if len(keys) > 1:
            noise = float(np.hypot(NOISE, SOURCE_SPREAD))
            alone = [
                Interval.of(from_others(rows, key), rows.ms[rows.calibration == key], noise)
                for key in keys
            ]
            quantile = max(interval.quantile for interval in alone)
            checked = max(calibrated[key].checked for key in keys)
            found[group] = Interval(noise, quantile, checked)
    return found


def from_others(measurements: Measurements, calibration: str) -> Estimate:
    """Estimate the rows of one calibration as if its device had not been measured.

    Each row is estimated after a fit to rows of other calibrations and other families of networks.
    """
    own = np.flatnonzero(measurements.calibration == calibration)
    folds = folds_by_family(measurements)
    found = Estimate(np.empty(len(own)), np.empty(len(own)))
    for fold in np.unique(folds[own]):
        known = (measurements.calibration != calibration) & (folds != fold)
        common = fit_calibrations(measurements.where(known)).common
        estimate = RooflineTimes(prior_of(calibration, common)).estimate(measurements.table)
        here = folds[own] == fold
        part = rows_of(estimate, measurements.program[own[here]])
        found.ms[here], found.epistemic_std[here] = part.ms, part.epistemic_std
    return found


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
    both = float(np.hypot(NOISE, SOURCE_SPREAD))

    def scored(labels: Any, estimate: Estimate, noise: float) -> dict[str, Scores]:
        factors = held_out_factors(measurements, folds, estimate, noise)
        ms = estimate.ms
        return score_by(labels, ms, measurements.ms, ms / factors, ms * factors)

    return {
        "pooled": scored(measurements.calibration, unseen.pooled, both),
        "within_source": scored(measurements.calibration, unseen.within_source, NOISE),
        "by_source": scored(measurements.source_key, unseen.within_source, NOISE),
    }
