"""Calibrate one device from a few of its own measurements, leaving all other devices as they are.

The constants start from what the devices of the same compute unit have in common, as wide as their
differences are; each measurement narrows what it bears on.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from latency_predictor.artefact import Artefact
from latency_predictor.calibration import adapt
from latency_predictor.interval import NOISE, Interval
from latency_predictor.measurements import Measurements
from latency_predictor.metrics import Score, score
from latency_predictor.priors import group_of, prior_of
from latency_predictor.times import Estimate, Posterior, RooflineTimes

FEWEST = 5
"""Rows without which a device cannot be calibrated."""
_OWN_INTERVAL = 9
"""Architectures or families from which a device's own errors alone say how wide its interval is:
of fewer, not even the largest error is their 90 % quantile."""


class TooFewRows(ValueError):
    """A device cannot be calibrated from so little."""


def calibrate_device(
    artefact: Artefact, measurements: Measurements, sha256: str
) -> tuple[Artefact, Score]:
    """The artefact with the calibration of these rows, all of one device, added.

    It replaces what was known of the device, which starts again from what its relatives share; the
    rows' hash `sha256` becomes part of the artefact's. The score is that of predictions of each
    family of programs from the others. Raises `TooFewRows` below `FEWEST` rows, or where all are of
    one family.
    """
    families = len(np.unique(measurements.family))
    if len(measurements) < FEWEST or families < 2:
        raise TooFewRows(
            f"{len(measurements)} usable rows of {families} architectures or families of networks; "
            f"a device needs {FEWEST} rows of 2, and 20 architectures serve it well"
        )
    (key,) = np.unique(measurements.calibration).tolist()
    prior = prior_of(key, artefact.common)
    unseen = left_out(prior, measurements)
    interval = _interval(unseen, measurements, artefact)
    factor = interval.factor(unseen)
    calibrated = replace(
        artefact,
        calibration_sha256=hashlib.sha256(
            (artefact.calibration_sha256 + sha256).encode()
        ).hexdigest(),
        devices={**artefact.devices, key: adapt(prior, measurements)},
        intervals={**artefact.intervals, key: interval},
    )
    return calibrated, score(unseen.ms, measurements.ms, unseen.ms / factor, unseen.ms * factor)


def left_out(prior: Posterior, measurements: Measurements) -> Estimate:
    """Estimate of each row by the rows of other families: shape [rows]."""
    estimate = Estimate(np.empty(len(measurements)), np.empty(len(measurements)))
    for family in np.unique(measurements.family):
        here = measurements.family == family
        times = RooflineTimes(adapt(prior, measurements.where(~here)))
        found, program = times.estimate(measurements.table), measurements.program[here]
        estimate.ms[here], estimate.ignorance[here] = found.ms[program], found.ignorance[program]
    return estimate


def _interval(unseen: Estimate, measurements: Measurements, artefact: Artefact) -> Interval:
    own = Interval.of(unseen, measurements.ms, NOISE)
    if len(np.unique(measurements.family)) >= _OWN_INTERVAL:
        return own
    group = group_of(str(measurements.calibration[0]))
    kin = [found for key, found in artefact.intervals.items() if group_of(key) == group]
    reach = max([own, *kin], key=lambda interval: interval.quantile * interval.noise)
    return replace(reach, checked=own.checked)
