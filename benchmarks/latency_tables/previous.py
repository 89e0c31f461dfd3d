"""The latency model of version 0.1, whose intervals knew neither laboratories nor devices.

A laboratory had one effect, on the level of its times. The interval of a
calibration followed from the errors for families that were left out, each row counting once, and
that of an unseen device from the worst device of the same compute unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from latency_predictor.model import calibration, priors
from latency_predictor.model.interval import NOISE, pooled_quantile
from latency_predictor.model.recalibrate import fit_rooflines
from latency_predictor.model.times import Estimate
from latency_predictor.model.unseen import (
    families_left_out,
    from_others,
    groups_of,
    has_several_sources,
    sources_and_families_left_out,
    sources_left_out,
)
from latency_predictor.profiles.measurements import Measurements

LEVEL, NONE = 0.06, 1e-6
Array = NDArray[np.float64]


@contextmanager
def previous_fit() -> Iterator[None]:
    """Within this context, rooflines are fitted with the effects and priors of version 0.1."""
    bandwidths = {chip: rate for chip, rate in priors._DRAM_GB_PER_S.items() if chip != "a10"}
    with ExitStack() as stack:
        stack.enter_context(patch.object(calibration, "LEVEL_SPREAD", LEVEL))
        stack.enter_context(patch.object(calibration, "OVERHEAD_SPREAD", NONE))
        stack.enter_context(patch.object(priors, "_PHONE_DEVIATION", 0.1))
        stack.enter_context(patch.object(priors, "_DRAM_GB_PER_S", bandwidths))
        yield


def of_new_sources(measurements: Measurements) -> tuple[Measurements, list[tuple[Estimate, Array]]]:
    """The counterpart of `unseen.factors_of_new_sources`."""
    several = has_several_sources(measurements)
    rows = measurements.where(several)
    with previous_fit():
        found = [sources_left_out(rows, fit_rooflines)]
        found.append(sources_and_families_left_out(rows, fit_rooflines))
        families = families_left_out(measurements, fit_rooflines)
    scores = _scores(families, measurements)[several]
    quantiles = np.empty(len(rows))
    for key in np.unique(rows.source_key):
        here = rows.source_key == key
        source, calibrated = rows.source[here][0], rows.calibration[here][0]
        others = (rows.source != source) & (rows.calibration == calibrated)
        quantiles[here] = _quantile(scores[others])
    return rows, [(each, np.exp(quantiles * _spread(each))) for each in found]


def of_new_devices(measurements: Measurements, other_sources: bool) -> tuple[Estimate, Array]:
    """The counterpart of `unseen.factors_of_new_devices`."""
    with previous_fit():
        estimate = from_others(measurements, other_sources)
    scores, groups = _scores(estimate, measurements), groups_of(measurements)
    quantiles = np.zeros(len(measurements))
    for key in np.unique(measurements.calibration):
        here = measurements.calibration == key
        kin = np.unique(measurements.calibration[(groups == groups[here][0]) & ~here])
        own = [_quantile(scores[measurements.calibration == other]) for other in kin]
        quantiles[here] = max(own, default=0.0)
    return estimate, np.exp(quantiles * _spread(estimate))


def _spread(estimate: Estimate) -> Array:
    return np.sqrt(estimate.epistemic_std**2 + NOISE**2 + LEVEL**2)


def _scores(estimate: Estimate, measurements: Measurements) -> Array:
    return np.asarray(np.abs(np.log(estimate.ms / measurements.ms)) / _spread(estimate))


def _quantile(scores: Array) -> float:
    return pooled_quantile(scores, np.arange(len(scores)), 0.9 * (1 + 1 / len(scores)))
