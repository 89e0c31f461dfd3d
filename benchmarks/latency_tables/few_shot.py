"""Tables of a device that is new to the model, of which a few rows are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from latency_predictor.model.artefact import Artefact, load
from latency_predictor.model.calibration import fit_calibrations
from latency_predictor.model.crossval import rows_of
from latency_predictor.model.few_shot import FEWEST, calibrate_device
from latency_predictor.model.interval import Interval
from latency_predictor.model.metrics import score
from latency_predictor.model.priors import group_of, prior_of
from latency_predictor.model.recalibrate import MODELS, fit_rooflines
from latency_predictor.model.suggest import most_informative
from latency_predictor.model.times import Fitted, RooflineTimes
from latency_predictor.model.unseen import intervals, unseen_devices
from latency_predictor.ops import COLUMNS, OpTable, concatenate
from latency_predictor.profiles.measurements import Measurements
from latency_tables.scores import percent, value_of
from search.report.markdown import markdown_table

DRAWS = 10
"""Random choices of the given rows, over which medians are taken."""
ROWS_GIVEN = (0, 5, 10, 20)
TARGETS = ("a14-ane", "a15-ane", "a10-cpu", "a13-cpu", "a10-gpu", "a13-gpu")
"""Calibrations that are held out in turn."""
Times = NDArray[np.float64]


def held_out_devices(whole: Measurements) -> str:
    """All models on devices whose relatives are known, and of themselves some random rows."""
    rows: list[list[object]] = []
    for target in TARGETS:
        related = np.array([group_of(key) == group_of(target) for key in whole.calibration])
        own = whole.calibration == target
        rows += transfers(target, whole.where(related & ~own), whole.where(own))
    headers = ("device", "given", "model", "MAPE", "±10 %", "rho", "tau", "covers")
    return (
        f"Medians over {DRAWS} draws of the given rows. Baselines: their fit to the device's "
        "relatives, times one factor fitted to the given rows.\n\n"
        f"{markdown_table(headers, rows)}"
    )


def transfers(target: str, relatives: Measurements, own: Measurements) -> Iterator[list[object]]:
    """A row of the table per number of given rows and model."""
    before = artefact_of(relatives)
    fitted = {name: fit(relatives) for name, fit in MODELS.items()}
    for given in ROWS_GIVEN:
        for model in MODELS:
            found = []
            for seed in range(DRAWS if given else 1):
                taken = np.zeros(len(own), dtype=bool)
                taken[np.random.default_rng(seed).permutation(len(own))[:given]] = True
                seen, unseen = own.where(taken), own.where(~taken)
                if model == "roofline":
                    found.append(adapted(before, target, seen, unseen))
                else:
                    found.append(scaled(fitted[model], seen, unseen))
            mape, _, within_10, rho, tau, coverage = np.median(found, axis=0)
            # A baseline has no interval, and that of an unmeasured device is its group's.
            covered = percent(coverage) if model == "roofline" and given else ""
            figures = (percent(mape, 1), percent(within_10), f"{rho:.3f}", f"{tau:.2f}", covered)
            yield [target, given, model, *figures]


def artefact_of(measurements: Measurements) -> Artefact:
    """The artefact that would ship if only these devices had been measured."""
    fitted = fit_calibrations(measurements)
    calibrated = intervals(measurements, fit_rooflines)
    return Artefact(
        calibration_sha256="",
        calibration_rows=len(measurements),
        devices=fitted.devices,
        common=fitted.common,
        offsets=fitted.offsets,
        intervals=calibrated,
        unseen=unseen_devices(measurements, calibrated),
        ratio_quantile=0.0,
        cross_validation={},
    )


def adapted(before: Artefact, target: str, seen: Measurements, unseen: Measurements) -> list[float]:
    """Scores of the roofline after it is calibrated to the given rows, if they are enough."""
    interval: Interval | None
    if len(seen) >= FEWEST:
        after, _ = calibrate_device(before, seen, "")
        times, interval = RooflineTimes(after.devices[target]), after.intervals[target]
    else:
        times = RooflineTimes(prior_of(target, before.common))
        interval = before.unseen.get(group_of(target))
    estimate = rows_of(times.estimate(unseen.table), unseen.program)
    factor = interval.factor(estimate) if interval else np.ones(len(unseen))
    return scores_of(estimate.ms, unseen.ms, estimate.ms / factor, estimate.ms * factor)


def scaled(relatives: Fitted, seen: Measurements, unseen: Measurements) -> list[float]:
    """Scores of the relatives' mean log prediction times one factor."""

    def predicted_logs(rows: Measurements) -> Times:
        of_relatives = relatives.times.values()
        logs = [np.log(times.estimate(rows.table).ms[rows.program]) for times in of_relatives]
        return np.mean(logs, axis=0)

    factor = np.mean(np.log(seen.ms) - predicted_logs(seen)) if len(seen) else 0.0
    ms = np.exp(predicted_logs(unseen) + factor)
    return scores_of(ms, unseen.ms, ms, ms)


def scores_of(ms: Times, truth: Times, low_ms: Times, high_ms: Times) -> list[float]:
    """MAPE, shares within 5 and 10 %, Spearman's rho, Kendall's tau, coverage of the intervals."""
    found = score(ms, truth, low_ms, high_ms)
    errors = [value_of(found, name) for name in ("mape", "within_5", "within_10")]
    rho = float(spearmanr(ms, truth).statistic)
    return [*errors, rho, value_of(found, "kendall_tau"), value_of(found, "coverage")]


def local_cpu(local: Measurements) -> str:
    """Encoder and decoder of each architecture; some are given, the others predicted."""
    shipped = load()
    architectures = np.unique(local.family)
    rows = []
    for given in ROWS_GIVEN[1:]:
        draws = [np.random.default_rng(seed).permutation(architectures) for seed in range(DRAWS)]
        for chosen, picks in (
            ("suggested", [suggested(shipped, local, given)]),
            ("random", [draw[:given] for draw in draws]),
        ):
            found = [local_scores(shipped, local, pick) for pick in picks]
            mape, within_5, within_10, rho, tau, coverage = np.median(found, axis=0)
            shares = (percent(mape, 1), percent(within_5), percent(within_10))
            rows.append([given, chosen, *shares, f"{rho:.3f}", f"{tau:.2f}", percent(coverage)])
    headers = ("given", "chosen", "MAPE", "±5 %", "±10 %", "rho", "tau", "covers")
    return (
        f"{len(architectures)} architectures, {len(local)} programs of "
        f"{local.ms.min():.0f} to {local.ms.max():.0f} ms. `suggested` are those of them that "
        f"`suggest` would have measured; `random` gives medians over {DRAWS} draws.\n\n"
        f"{markdown_table(headers, rows)}"
    )


def local_scores(shipped: Artefact, local: Measurements, given: NDArray[np.str_]) -> list[float]:
    """Scores on all other architectures after a calibration to those that are `given`."""
    taken = np.isin(local.family, given)
    unseen = local.where(~taken)
    after, _ = calibrate_device(shipped, local.where(taken), "")
    predicted = after.model().predict(unseen.table, "local_cpu")
    ms, low_ms, high_ms = (
        array[unseen.program] for array in (predicted.ms, predicted.low_ms, predicted.high_ms)
    )
    return scores_of(ms, unseen.ms, low_ms, high_ms)


def suggested(shipped: Artefact, local: Measurements, count: int) -> NDArray[np.str_]:
    """The architectures that `suggest` would have measured first, without any of their times."""
    architectures = np.unique(local.family)
    of_architecture = [local.program[local.family == name] for name in architectures]
    halves = [select(local.table, programs) for programs in np.transpose(of_architecture)]
    return architectures[most_informative(shipped.times("local_cpu"), halves, count)]


def select(table: OpTable, programs: Iterable[int]) -> OpTable:
    """The table of some programs of another."""
    parts = []
    for program in programs:
        rows = table.program == program
        columns = {name: getattr(table, name)[rows] for name in COLUMNS if name != "program"}
        parts.append(OpTable(program=np.zeros(rows.sum(), dtype=np.int64), programs=1, **columns))
    return concatenate(parts)
