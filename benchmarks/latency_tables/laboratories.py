"""Table of what each row of a new laboratory buys, on a device that others have measured."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from latency_predictor.model.artefact import Artefact
from latency_predictor.model.calibration import fit_calibrations
from latency_predictor.model.crossval import rows_of
from latency_predictor.model.few_shot import calibrate_device
from latency_predictor.model.metrics import score
from latency_predictor.model.priors import of_new_laboratory
from latency_predictor.model.recalibrate import fit_rooflines
from latency_predictor.model.suggest import most_informative
from latency_predictor.model.times import RooflineTimes
from latency_predictor.model.unseen import (
    Errors,
    cells_of,
    has_several_sources,
    sources_and_families_left_out,
)
from latency_predictor.profiles.measurements import Measurements
from latency_tables.few_shot import select
from latency_tables.scores import percent, value_of
from search.report.markdown import markdown_table

GIVEN = (0, 3, 5, 10, 20)
DRAWS = 5
"""Random choices of the given rows, over which scores are averaged."""
FEWEST_LEFT = 5
"""A laboratory is scored with so many given rows if at least this many others are left."""
Rows = NDArray[np.int64]


def rows_of_new_laboratories(whole: Measurements) -> str:
    """Scores of the other rows of laboratories of which a few rows are given."""
    data = whole.where(has_several_sources(whole))
    estimate = sources_and_families_left_out(data, fit_rooflines)
    errors, cells = Errors(estimate, data.ms, cells_of(data)), []
    laboratories = [Laboratory(data, errors, key) for key in np.unique(data.source_key).tolist()]
    for given in GIVEN:
        shared = [each for each in laboratories if len(each.own) >= max(GIVEN) + FEWEST_LEFT]
        for chosen in ("suggested", "random") if given else ("none",):
            found = [each.scores(given, chosen) for each in shared]
            mape, coverage, width = np.mean(found, axis=0)
            shares = (percent(mape, 1), percent(coverage))
            cells.append([given, chosen, *shares, f"{np.exp(width):.2f}"])
    names = ", ".join(each.key.partition("/")[2] for each in shared)
    headers = ("given rows", "chosen", "MAPE", "90 % interval covers", "high / low")
    return (
        f"Means over the laboratories with at least {max(GIVEN) + FEWEST_LEFT} rows ({names}). "
        "Each is predicted from the rows of all others and the given ones; `random` is the mean of "
        f"{DRAWS} draws. The scores are those of the rows that were not given.\n\n"
        f"{markdown_table(headers, cells)}"
    )


class Laboratory:
    """One source on one device, predicted from all other sources and some of its own rows."""

    def __init__(self, data: Measurements, errors: Errors, key: str) -> None:
        self.key = key
        self.own = data.where(data.source_key == key)
        others = data.source != self.own.source[0]
        fitted = fit_calibrations(data.where(others))
        self._calibration = str(self.own.calibration[0])
        self._before = Artefact(
            calibration_sha256="",
            calibration_rows=int(others.sum()),
            devices=fitted.devices,
            common=fitted.common,
            offsets=fitted.offsets,
            intervals=dict.fromkeys(fitted.devices, errors.interval(others)),
            unseen={},
            ratio_quantile=0.0,
            cross_validation={},
        )

    def scores(self, given: int, chosen: str) -> list[float]:
        """MAPE, coverage and mean log width on the rows that are not given."""
        found = [self._scored(pick) for pick in self._picks(given, chosen)]
        return [float(value) for value in np.mean(found, axis=0)]

    def _picks(self, given: int, chosen: str) -> Iterator[Rows]:
        if chosen == "suggested":
            times = RooflineTimes(of_new_laboratory(self._before.devices[self._calibration]))
            yield most_informative(times, [select(self.own.table, self.own.program)], given)
        elif not given:
            yield np.empty(0, dtype=np.int64)
        else:
            orders = (np.random.default_rng(n).permutation(len(self.own)) for n in range(100))
            several = (o[:given] for o in orders if len(set(self.own.family[o[:given]])) > 1)
            yield from islice(several, DRAWS)

    def _scored(self, pick: Rows) -> list[float]:
        taken = np.isin(np.arange(len(self.own)), pick)
        after, unseen = self._before, self.own.where(~taken)
        if len(pick):
            after, _ = calibrate_device(self._before, self.own.where(taken), "")
        times = RooflineTimes(after.devices[self._calibration])
        estimate = rows_of(times.estimate(unseen.table), unseen.program)
        factor = after.intervals[self._calibration].factor(estimate)
        found = score(estimate.ms, unseen.ms, estimate.ms / factor, estimate.ms * factor)
        return [value_of(found, name) for name in ("mape", "coverage", "log_width")]
