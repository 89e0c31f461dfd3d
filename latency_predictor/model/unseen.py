"""Intervals for laboratories and devices that were not measured, and the errors behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latency_predictor.model.calibration import fit_calibrations
from latency_predictor.model.crossval import (
    Fit,
    empty,
    folds_by_family,
    folds_by_source,
    held_out,
    put,
    rows_of,
)
from latency_predictor.model.interval import Interval, pooled_quantile, ratio_spread
from latency_predictor.model.priors import common_spread, group_of, prior_of, unit_of_calibration
from latency_predictor.model.times import Estimate, Posterior, RooflineTimes, summed
from latency_predictor.profiles.measurements import Measurements


@dataclass(frozen=True)
class Errors:
    """Held-out estimates and measured times of rows, and the group of each: shape [rows]."""

    estimate: Estimate
    ms: NDArray[np.float64]
    groups: NDArray[np.str_]

    def interval(self, rows: NDArray[np.bool_]) -> Interval:
        """The interval from the errors of some rows, for a laboratory without measurements."""
        return Interval.of(rows_of(self.estimate, rows), self.ms[rows], self.groups[rows], True)


def intervals(measurements: Measurements, fit: Fit) -> dict[str, Interval]:
    """Interval of each calibration, for a laboratory without measurements.

    It follows from the errors for families of networks that were left out. For calibrations with
    several sources, it also follows from the errors for sources that were left out, and the
    calibrations of a group share all errors, because each has few sources.
    """
    families = families_left_out(measurements, fit)
    found = {
        key: families.interval(measurements.calibration == key)
        for key in np.unique(measurements.calibration).tolist()
    }
    several = has_several_sources(measurements)
    if several.any():
        shared = measurements.where(several)
        both = joined(sources_left_out(shared, fit), families, several)
        groups = np.tile(groups_of(shared), 2)
        for key in np.unique(shared.calibration).tolist():
            interval = both.interval(groups == group_of(key))
            found[key] = replace(interval, checked=found[key].checked)
    return found


def families_left_out(measurements: Measurements, fit: Fit) -> Errors:
    """Errors for families of networks that the fit did not see."""
    estimate = held_out(measurements, folds_by_family(measurements), fit).pooled
    return Errors(estimate, measurements.ms, np.char.add("family ", measurements.family))


def sources_left_out(measurements: Measurements, fit: Fit) -> Errors:
    """Errors for sources that the fit did not see. Every calibration needs several sources."""
    estimate = held_out(measurements, folds_by_source(measurements), fit).pooled
    return Errors(estimate, measurements.ms, np.char.add("source ", measurements.source))


def joined(sources: Errors, families: Errors, rows: NDArray[np.bool_]) -> Errors:
    """The errors of all rows of `sources`, followed by those of some rows of `families`."""
    one, other = sources.estimate, rows_of(families.estimate, rows)
    return Errors(
        Estimate(
            np.concatenate([one.ms, other.ms]),
            np.concatenate([one.epistemic_std, other.epistemic_std]),
            np.concatenate([one.overhead_share, other.overhead_share]),
        ),
        np.concatenate([sources.ms, families.ms[rows]]),
        np.concatenate([sources.groups, families.groups[rows]]),
    )


def factors_of_new_sources(
    measurements: Measurements, fit: Fit
) -> tuple[Measurements, Estimate, NDArray[np.float64]]:
    """The rows that `has_several_sources` selects, and estimates without their source.

    The last result is the factor of each row's interval. It follows, as in `intervals`, from the
    errors on rows of other sources.
    """
    several = has_several_sources(measurements)
    rows = measurements.where(several)
    sources = sources_left_out(rows, fit)
    both = joined(sources, families_left_out(measurements, fit), several)
    factors, groups = np.empty(len(rows)), groups_of(rows)
    for key in np.unique(rows.source_key):
        here = rows.source_key == key
        others = (rows.source != rows.source[here][0]) & (groups == groups[here][0])
        interval = both.interval(np.tile(others, 2))
        factors[here] = interval.factor(rows_of(sources.estimate, here))
    return rows, sources.estimate, factors


def factors_of_new_devices(
    measurements: Measurements, other_sources: bool
) -> tuple[Estimate, NDArray[np.float64]]:
    """Estimate of each row as if its device were new, and its interval's factor: shape [rows].

    The arguments are those of `from_others`. The intervals follow from the errors on other devices
    whose group has several devices.
    """
    estimate, related = from_others(measurements, other_sources), _related(measurements)
    errors = Errors(estimate, measurements.ms, measurements.calibration)
    factors = np.empty(len(measurements))
    for key in np.unique(measurements.calibration):
        here = measurements.calibration == key
        factors[here] = errors.interval(related & ~here).factor(rows_of(estimate, here))
    return estimate, factors


def has_several_sources(measurements: Measurements) -> NDArray[np.bool_]:
    """Whether the calibration of each row has rows of other sources as well: shape [rows]."""
    pairs = np.unique(measurements.source_key)
    keys, sources = np.unique([key.split("/")[0] for key in pairs], return_counts=True)
    return np.isin(measurements.calibration, keys[sources > 1])


def groups_of(measurements: Measurements) -> NDArray[np.str_]:
    """Name of the group of each row's calibration: shape [rows]."""
    return np.array([group_of(key) for key in measurements.calibration.tolist()], dtype=str)


def unseen_devices(
    measurements: Measurements, calibrated: Mapping[str, Interval]
) -> dict[str, Interval]:
    """Interval of a device without measurements, for each group of more than one calibration.

    Each device is predicted as if it had not been measured (`from_others`). The `quantile` follows
    from the errors on the devices of all groups, because a group has few. The interval's `checked`
    is the largest among the intervals `calibrated` of the group.
    """
    related = _related(measurements)
    if not related.any():
        return {}
    rows = measurements.where(related)
    errors, groups = Errors(from_others(rows), rows.ms, rows.calibration), groups_of(rows)
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


@dataclass(frozen=True)
class Ratios:
    """Ratios of times of pairs of networks of one family and source: shape [pairs].

    `errors` are the log errors of ratios by a fit without the source, `spread` is their expected
    standard deviation (`ratio_spread`), and `first` and `second` are the rows of each pair.
    """

    errors: NDArray[np.float64]
    spread: NDArray[np.float64]
    source: NDArray[np.str_]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    def quantile(self, pairs: NDArray[np.bool_]) -> float:
        """Half-width of the 90 % intervals of log ratios, in multiples of `spread`."""
        scores = np.abs(self.errors) / self.spread
        return pooled_quantile(scores[pairs], self.source[pairs])


def ratios_of_new_sources(measurements: Measurements) -> Ratios:
    """All pairs of rows of one calibration, source and family, each by a fit without the source.

    Every calibration needs several sources.
    """
    found = []
    for source in np.unique(measurements.source):
        devices = fit_calibrations(measurements.where(measurements.source != source)).devices
        for key in np.unique(measurements.calibration[measurements.source == source]).tolist():
            rows = np.flatnonzero(
                (measurements.source == source) & (measurements.calibration == key)
            )
            one, other = np.triu_indices(len(rows), 1)
            related = measurements.family[rows][one] == measurements.family[rows][other]
            found.append(
                _ratios(measurements, devices[key], rows[one[related]], rows[other[related]])
            )
    return Ratios(*(np.concatenate(part) for part in zip(*found, strict=True)))


def _ratios(
    data: Measurements, constants: Posterior, first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[Any], ...]:
    """The fields of `Ratios` for pairs of rows."""
    times = RooflineTimes(constants)
    sums = summed(times.op_features, data.table)[data.program]
    estimate = times.from_sums(sums)
    errors = np.log(estimate.ms / data.ms)
    spread = ratio_spread(
        times.difference_std(sums[first], sums[second]),
        estimate.overhead_share[first] - estimate.overhead_share[second],
    )
    return errors[first] - errors[second], spread, data.source[first], first, second


def ratio_quantile(measurements: Measurements) -> float:
    """`Ratios.quantile` over all rows of calibrations with several sources."""
    ratios = ratios_of_new_sources(measurements.where(has_several_sources(measurements)))
    return ratios.quantile(np.ones(len(ratios.errors), dtype=bool))


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
