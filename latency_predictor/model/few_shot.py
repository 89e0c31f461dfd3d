"""Calibrate one device from a few of its own measurements; all other devices stay unchanged.

For a device with published rows, the prior of the constants is their distribution after these rows,
widened by the effects of a laboratory and a family (`priors.of_new_laboratory`). For another
device it is the distribution that devices with the same compute unit have in common, widened
likewise. Each measurement narrows the distribution of the constants that affect it, so that a few
rows determine the laboratory's own factors.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from latency_predictor.errors import UserError
from latency_predictor.model.artefact import Artefact
from latency_predictor.model.calibration import adapt
from latency_predictor.model.crossval import empty, put, rows_of
from latency_predictor.model.interval import Interval
from latency_predictor.model.metrics import Scores, score
from latency_predictor.model.priors import group_of, of_new_laboratory, prior_of
from latency_predictor.model.times import Estimate, Posterior, RooflineTimes
from latency_predictor.profiles.measurements import Measurements

FEWEST = 3
"""Smallest number of rows from which a device is calibrated."""
_OWN_INTERVAL = 9
"""Smallest number of architectures or families with which the width of a device's interval follows
from its own errors alone. With fewer, even the largest error is not their 90 % quantile."""


class TooFewRows(UserError):
    """There are too few rows or families to calibrate a device."""


def calibrate_device(
    artefact: Artefact, measurements: Measurements, sha256: str
) -> tuple[Artefact, Scores]:
    """Fit a calibration to measurements of one device. Returns an artefact with it, and scores.

    An earlier calibration from own rows is replaced (`prior_for`). `sha256` is the hash of the
    measured rows and enters the hash of the artefact. The scores are those of predictions of each
    family of programs from the other families. Raises `TooFewRows` for fewer than `FEWEST` rows, or
    if all rows are of one family.
    """
    families = len(np.unique(measurements.family))
    if len(measurements) < FEWEST or families < 2:
        raise TooFewRows(
            f"{len(measurements)} usable rows of {families} architectures or families of networks "
            f"are too few to calibrate a device; it needs at least {FEWEST} rows of 2, and 20 "
            "architectures are recommended"
        )
    (key,) = np.unique(measurements.calibration).tolist()
    prior = prior_for(key, artefact)
    unseen = left_out(prior, measurements)
    interval = _interval(unseen, measurements, artefact)
    factor = interval.factor(unseen)
    calibrated = replace(
        artefact,
        calibration_sha256=hashlib.sha256(
            (artefact.calibration_sha256 + sha256).encode()
        ).hexdigest(),
        devices={**artefact.devices, key: adapt(prior, measurements)},
        offsets={name: value for name, value in artefact.offsets.items() if not _of(name, key)},
        intervals={**artefact.intervals, key: interval},
    )
    return calibrated, score(unseen.ms, measurements.ms, unseen.ms / factor, unseen.ms * factor)


def prior_for(key: str, artefact: Artefact) -> Posterior:
    """Prior of the log constants of a calibration, for rows of a new laboratory.

    The effects of sources in an artefact tell a calibration to published rows from one to own rows,
    which is not used.
    """
    published = any(_of(name, key) for name in artefact.offsets)
    return of_new_laboratory(artefact.devices[key] if published else prior_of(key, artefact.common))


def _of(effect: str, key: str) -> bool:
    return effect.startswith(f"{key}/")


def left_out(prior: Posterior, measurements: Measurements) -> Estimate:
    """Estimate of each row, after a fit to the rows of all other families: shape [rows]."""
    estimate = empty(len(measurements))
    for family in np.unique(measurements.family):
        here = measurements.family == family
        times = RooflineTimes(adapt(prior, measurements.where(~here)))
        found = times.estimate(measurements.table)
        put(estimate, here, rows_of(found, measurements.program[here]))
    return estimate


def _interval(unseen: Estimate, measurements: Measurements, artefact: Artefact) -> Interval:
    own = Interval.of(unseen, measurements.ms, measurements.family, new_source=False)
    if len(np.unique(measurements.family)) >= _OWN_INTERVAL:
        return own
    group = group_of(str(measurements.calibration[0]))
    kin = [found.quantile for key, found in artefact.intervals.items() if group_of(key) == group]
    return replace(own, quantile=max([own.quantile, *kin]))
