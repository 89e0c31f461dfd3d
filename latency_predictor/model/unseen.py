"""Errors for laboratories, families and devices that were left out, and the intervals from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latency_predictor.devices import NEURAL_ENGINES
from latency_predictor.model.calibration import fit_calibrations
from latency_predictor.model.crossval import (
    Fit,
    empty,
    estimates,
    folds_by_family,
    folds_by_source,
    held_out,
    put,
    rows_of,
)
from latency_predictor.model.interval import COVERAGE, Interval, pooled_quantile, ratio_spread
from latency_predictor.model.priors import common_spread, group_of, prior_of, unit_of_calibration
from latency_predictor.model.times import Estimate, Posterior, RooflineTimes, summed
from latency_predictor.profiles.measurements import Measurements

_FEWEST_CHECKED = 10
"""Smallest number of rows with which a Neural Engine has an interval from its own errors."""


def cells_of(measurements: Measurements) -> NDArray[np.str_]:
    """Label of each row's calibration, source and family: shape [rows].

    Errors of rows with the same label are correlated.
    """
    return np.char.add(np.char.add(measurements.source_key, "/"), measurements.family)


def has_few_rows(measurements: Measurements) -> NDArray[np.bool_]:
    """Whether each row is of a phone's Neural Engine with fewer than 10 rows: shape [rows].

    Intervals cannot be checked on so few rows. The engine is predicted without rows, too.
    """
    keys, number, counts = np.unique(
        measurements.calibration, return_inverse=True, return_counts=True
    )
    of_phones = np.isin(keys, [f"{chip}-ane" for chip in NEURAL_ENGINES])
    few: NDArray[np.bool_] = (of_phones & (counts < _FEWEST_CHECKED))[number]
    return few


def groups_of(measurements: Measurements) -> NDArray[np.str_]:
    """Name of the group of each row's calibration: shape [rows]."""
    return np.array([group_of(key) for key in measurements.calibration.tolist()], dtype=str)


@dataclass(frozen=True)
class Errors:
    """Held-out estimates and measured times of rows, and the group of each: shape [rows].

    The groups are those of `Interval.of`. `new_device` says that they are devices.
    """

    estimate: Estimate
    ms: NDArray[np.float64]
    groups: NDArray[np.str_]
    new_device: bool = False

    def interval(self, rows: NDArray[np.bool_]) -> Interval:
        """The interval from the errors of some rows, for a laboratory without measurements."""
        estimate, ms, groups = rows_of(self.estimate, rows), self.ms[rows], self.groups[rows]
        return Interval.of(estimate, ms, groups, True, self.new_device)


def intervals(measurements: Measurements, fit: Fit) -> dict[str, Interval]:
    """Interval of each calibration, for a laboratory and a family without measurements.

    It follows from the errors for families that were left out. The calibrations that
    `has_several_sources` selects are left out with source and family, and those of a group share
    all errors, because each has few sources.
    """
    families = Errors(families_left_out(measurements, fit), measurements.ms, cells_of(measurements))
    found = {
        key: families.interval(measurements.calibration == key)
        for key in np.unique(measurements.calibration).tolist()
    }
    shared = measurements.where(has_several_sources(measurements))
    if len(shared):
        both = Errors(sources_and_families_left_out(shared, fit), shared.ms, cells_of(shared))
        groups = groups_of(shared)
        for key in np.unique(shared.calibration).tolist():
            interval = both.interval(groups == group_of(key))
            found[key] = replace(interval, checked=found[key].checked)
    return found


def families_left_out(measurements: Measurements, fit: Fit) -> Estimate:
    """Estimates of rows of families that the fit did not see: shape [rows]."""
    return held_out(measurements, folds_by_family(measurements), fit).pooled


def sources_left_out(measurements: Measurements, fit: Fit) -> Estimate:
    """Estimates of rows of sources that the fit did not see: shape [rows].

    `has_several_sources` must select all rows.
    """
    return held_out(measurements, folds_by_source(measurements), fit).pooled


def sources_and_families_left_out(measurements: Measurements, fit: Fit) -> Estimate:
    """Estimates of rows, whose source and family the fit did not see: shape [rows].

    `has_several_sources` must select all rows.
    """
    source, family = measurements.source, measurements.family
    known = (source[:, None] != source) & (family[:, None] != family)
    found = empty(len(measurements))
    # Rows of one source share a fit unless other sources measured their families too.
    masks, fit_of_row = np.unique(known, axis=0, return_inverse=True)
    for number, mask in enumerate(masks):
        here = fit_of_row.reshape(-1) == number
        put(found, here, estimates(fit(measurements.where(mask)), measurements.where(here)))
    return found


def has_several_sources(measurements: Measurements) -> NDArray[np.bool_]:
    """Whether each row's calibration keeps rows if any source and family is left out: [rows]."""
    found = np.zeros(len(measurements), dtype=bool)
    for key in np.unique(measurements.calibration):
        here = measurements.calibration == key
        pairs = set(zip(measurements.source[here], measurements.family[here], strict=True))
        found[here] = all(
            any(s != source and f != family for s, f in pairs) for source, family in pairs
        )
    return found


def factors_of_new_sources(
    measurements: Measurements, fit: Fit
) -> tuple[Measurements, list[tuple[Estimate, NDArray[np.float64]]]]:
    """The rows that `has_several_sources` selects, and estimates with the factor of each interval.

    The first estimates are without the source of a row, the second also without its family. All
    intervals follow, as in `intervals`, from the errors of the second on rows of other sources.
    """
    rows = measurements.where(has_several_sources(measurements))
    found = [sources_left_out(rows, fit), sources_and_families_left_out(rows, fit)]
    errors, groups = Errors(found[1], rows.ms, cells_of(rows)), groups_of(rows)
    factors = [np.empty(len(rows)) for _ in found]
    for key in np.unique(rows.source_key):
        here = rows.source_key == key
        others = (rows.source != rows.source[here][0]) & (groups == groups[here][0])
        interval = errors.interval(others)
        for factor, estimate in zip(factors, found, strict=True):
            factor[here] = interval.factor(rows_of(estimate, here))
    return rows, list(zip(found, factors, strict=True))


def factors_of_new_devices(
    measurements: Measurements, other_sources: bool
) -> tuple[Estimate, NDArray[np.float64]]:
    """Estimate of each row as if its device were new, and its interval's factor: shape [rows].

    The arguments are those of `from_others`. The intervals follow from the errors on other devices
    whose group has several devices.
    """
    estimate, related = from_others(measurements, other_sources), _related(measurements)
    errors = Errors(estimate, measurements.ms, measurements.calibration, new_device=True)
    factors = np.empty(len(measurements))
    for key in np.unique(measurements.calibration):
        here = measurements.calibration == key
        factors[here] = errors.interval(related & ~here).factor(rows_of(estimate, here))
    return estimate, factors


def unseen_devices(
    measurements: Measurements, calibrated: Mapping[str, Interval]
) -> dict[str, Interval]:
    """Interval of a device without measurements, for each group of more than one calibration.

    Each device is predicted as if it had not been measured (`from_others`). The `quantile` follows
    from the errors on the devices of all groups, because a group has few. The interval's `checked`
    is the largest among the intervals `calibrated` of the group.
    """
    rows = measurements.where(_related(measurements))
    if not len(rows):
        return {}
    groups = groups_of(rows)
    errors = Errors(from_others(rows), rows.ms, rows.calibration, new_device=True)
    shared = errors.interval(np.ones(len(rows), dtype=bool))
    checked = {
        group: max(calibrated[key].checked for key in np.unique(rows.calibration[groups == group]))
        for group in np.unique(groups).tolist()
    }
    return {group: replace(shared, checked=largest) for group, largest in checked.items()}


def _related(measurements: Measurements) -> NDArray[np.bool_]:
    """Whether the group of each row's calibration has other calibrations too: shape [rows]."""
    groups = groups_of(measurements)
    keys = {group: np.unique(measurements.calibration[groups == group]) for group in set(groups)}
    return np.array([len(keys[group]) > 1 for group in groups], dtype=bool)


def from_others(measurements: Measurements, other_sources: bool = False) -> Estimate:
    """Estimate of each row, as if its device had not been measured: shape [rows].

    The fit is to the other devices in the group of the device's compute unit, with
    `other_sources` only to sources that did not measure the device. If nothing is left, the
    estimate is that of the priors.
    """
    groups, found = groups_of(measurements), empty(len(measurements))
    for key in np.unique(measurements.calibration).tolist():
        here, unit = measurements.calibration == key, unit_of_calibration(key)
        known = (groups == unit) & ~here
        if other_sources:
            known &= ~np.isin(measurements.source, measurements.source[here])
        common = {group_of(key): _common(unit, measurements.where(known))}
        times = RooflineTimes(prior_of(key, common))
        put(found, here, rows_of(times.estimate(measurements.table), measurements.program[here]))
    return found


def _common(group: str, known: Measurements) -> Posterior:
    if len(known):
        return fit_calibrations(known).common[group]
    spread = common_spread()
    return Posterior(np.zeros_like(spread), np.diag(spread**2))


@dataclass(frozen=True)
class Ratios:
    """Ratios of times of pairs of networks of one source and device: shape [pairs].

    `errors` are the log errors of ratios, and `spread` is their expected standard deviation
    (`ratio_spread`). `ratio` is the log of the predicted ratio, `first` and `second` are the rows
    of each pair, and `related` tells whether both are of one family.
    """

    errors: NDArray[np.float64]
    spread: NDArray[np.float64]
    ratio: NDArray[np.float64]
    source: NDArray[np.str_]
    related: NDArray[np.bool_]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    def where(self, pairs: NDArray[np.bool_]) -> Ratios:
        """The pairs that a mask selects."""
        return Ratios(**{name: array[pairs] for name, array in vars(self).items()})

    def quantile(self, pairs: NDArray[np.bool_]) -> float:
        """Half-width of the 90 % intervals of log ratios, in multiples of `spread`.

        Each source counts once. The level is not raised for their number, because there are few.
        """
        scores = np.abs(self.errors) / self.spread
        return pooled_quantile(scores[pairs], self.source[pairs], COVERAGE)


def ratios_of_new_sources(measurements: Measurements) -> Ratios:
    """All pairs of rows of one calibration and source, by a fit without the source.

    If both rows are of one family, the fit is also without the family. `has_several_sources` must
    select all rows.
    """
    source, family, found = measurements.source, measurements.family, []
    for key in np.unique(measurements.source_key):
        rows = np.flatnonzero(measurements.source_key == key)
        one, other = np.triu_indices(len(rows), 1)
        related = family[rows][one] == family[rows][other]
        for left_out in np.unique(family[rows[one[related]]]).tolist():
            pairs = related & (family[rows][one] == left_out)
            known = (source != source[rows[0]]) & (family != left_out)
            found.append(_ratios(measurements, known, rows[one[pairs]], rows[other[pairs]]))
        known = source != source[rows[0]]
        found.append(_ratios(measurements, known, rows[one[~related]], rows[other[~related]]))
    return Ratios(*(np.concatenate(part) for part in zip(*found, strict=True)))


def _ratios(
    data: Measurements,
    known: NDArray[np.bool_],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> tuple[NDArray[Any], ...]:
    """The fields of `Ratios` for pairs of rows of one calibration, by a fit to the rows `known`."""
    if not len(first):
        return tuple(np.empty(0, dtype) for dtype in (float, float, float, str, bool, int, int))
    constants = fit_calibrations(data.where(known)).devices[str(data.calibration[first[0]])]
    times = RooflineTimes(constants)
    sums = summed(times.op_features, data.table)[data.program]
    logs = np.log(times.from_sums(sums).ms)
    ratio = logs[first] - logs[second]
    errors = ratio - np.log(data.ms[first] / data.ms[second])
    spread = ratio_spread(times.difference(sums[first], sums[second]))
    related = data.family[first] == data.family[second]
    return errors, spread, ratio, data.source[first], related, first, second


def ratio_quantile(measurements: Measurements) -> float:
    """`Ratios.quantile` of the pairs of one family, over calibrations with several sources."""
    ratios = ratios_of_new_sources(measurements.where(has_several_sources(measurements)))
    return ratios.quantile(ratios.related)
