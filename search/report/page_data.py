"""Data of a run's interactive page, as values for JSON."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_predictor.errors import InputWarning
from search.bench.anchors import anchor
from search.bench.image_data import QUALITIES
from search.costs.breakdown import Breakdown, breakdowns
from search.costs.costs import fallback_risks
from search.costs.ranking import decode_ratios
from search.data.table_file import read_table
from search.metrics import KNOWN
from search.report import sentences
from search.report.analysis.calibration import surrogate_calibration
from search.report.analysis.dependence import partial_dependence
from search.report.analysis.importance import parameter_importances
from search.report.analysis.progress import progress_curve
from search.report.columns import PARAMETER, Column, columns_of
from search.report.json_document import knee_id
from search.report.landmarks import classical_curves, landmarks
from search.report.sample_crops import data_uri, read_samples
from search.study.goal import Band
from search.study.objectives import BD_RATE
from search.study.records import SCREEN_FILE, Overview, ReferenceRecord, RunRecord, evaluated
from search.study.relative_times import latency_model
from space.architecture import CHOICES, Architecture
from space.search_space import PARAMETERS, from_architecture

BINS = 60
"""Number of bins along each axis of the picture of the space."""
MAX_SAMPLES = 24
"""Largest number of the best candidates whose reconstructed crops are in the page, about 0.2 MB
each."""
DIGITS = 5
"""Significant digits of numbers in the page."""


def rounded(value: Any) -> Any:
    """Round numbers to `DIGITS` significant digits, within lists and mappings too.

    Numbers that are not finite become None, which JSON can express.
    """
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray | pd.Series):
        return [rounded(each) for each in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def page_run(folder: Path, state: Overview, record: RunRecord) -> dict[str, Any]:
    """The facts of one run, and its data as by `run_data` if it has trials."""
    facts = {"facts": sentences.facts(state, record)}
    return facts | (run_data(folder, state, record) if len(state.trials) else _empty(record))


def _empty(record: RunRecord) -> dict[str, Any]:
    """The data of a run that has no trial yet."""
    objectives = list(record.goal.objectives)
    return {"name": record.name, "goal": _goal(record), "objectives": objectives, "best": []}


def run_data(folder: Path, state: Overview, record: RunRecord) -> dict[str, Any]:
    """Everything that the page shows of one run. `state` is the run's overview, with some trials.

    The values are those of JSON, rounded to `DIGITS` significant digits.
    """
    architectures = [Architecture.from_json(text) for text in state.trials["architecture"]]
    parameters = pd.DataFrame([from_architecture(each) for each in architectures])
    trials = state.trials.reset_index(drop=True)
    trials[list(PARAMETERS)] = parameters[list(PARAMETERS)]
    columns, done = columns_of(trials, record), evaluated(trials)
    best = [int(row) for row in np.flatnonzero(trials["id"].isin(state.best["id"]))]
    best.sort(key=lambda row: state.best["id"].tolist().index(trials["id"][row]))
    varying = [name for name in PARAMETERS if trials[name].nunique() > 1]
    return {
        "name": record.name,
        "folder": str(folder),
        "device": record.device,
        "metric": record.metric,
        "goal": _goal(record),
        "objectives": list(record.goal.objectives),
        "headlines": _headlines(record, columns),
        "choices": list(CHOICES),
        "columns": [_column(column, trials, varying) for column in columns],
        "ids": trials["id"].tolist(),
        "states": _states(trials, best),
        "values": {column.name: _values(column, trials) for column in columns},
        "best": best,
        "knee": _row(trials, knee_id(state.best, record)),
        "failures": {row: why for row, why in enumerate(trials["error"]) if isinstance(why, str)},
        "risks": _risks(architectures),
        "metrics": _metrics(trials),
        "curves": _curves(trials),
        "reference": _reference(folder, record),
        "anchors": rounded(classical_curves(folder)),
        "landmarks": rounded(landmarks(folder, record.metric)),
        "latency": _latency(folder, architectures, trials, record),
        "decode_ratios": _decode_ratios(folder, [architectures[row] for row in best], record),
        "samples": _samples(folder, [trials["id"][row] for row in best], record),
        "progress": _progress(trials, record),
        "importance": rounded(parameter_importances(done, record.goal.objectives)),
        "dependence": {name: rounded(asdict(d)) for name, d in partial_dependence(done).items()},
        "calibration": _calibration(done),
        "space_sample": _space_sample(folder),
    }


def _goal(record: RunRecord) -> dict[str, Any]:
    goal = record.goal
    kind = "band" if isinstance(goal, Band) else "front"
    ends = {"low_ms": goal.low_ms, "high_ms": goal.high_ms} if isinstance(goal, Band) else {}
    return {"kind": kind, "noun": goal.noun, **ends}


def _headlines(record: RunRecord, columns: Sequence[Column]) -> list[str]:
    """Columns that the card of a pinned candidate shows first."""
    shown = (*record.goal.objectives, "decode_ms", "decode_total_ms", "encode_total_ms")
    known = [column.name for column in columns]
    return [name for name in dict.fromkeys(shown) if name in known]


def _column(column: Column, trials: pd.DataFrame, varying: Sequence[str]) -> dict[str, Any]:
    """A column as JSON. A parameter that is the same in all trials is not offered."""
    found = column.as_json(trials[column.name])
    return found | {"choice": False} if _is_fixed(column, varying) else found


def _is_fixed(column: Column, varying: Sequence[str]) -> bool:
    return column.group == PARAMETER and column.name not in varying


def _values(column: Column, trials: pd.DataFrame) -> list[Any]:
    """Values of a column. Of a column with levels they are the numbers of the levels."""
    values = trials[column.name]
    levels = column.as_json(values).get("levels")
    if levels is None:
        return list(rounded(values))
    return [levels.index(value) if isinstance(value, str) else None for value in values]


def _states(trials: pd.DataFrame, best: Sequence[int]) -> list[str]:
    """The state of each trial: `best`, `evaluated`, `stopped` at a rung, or `failed`."""
    states = np.full(len(trials), "evaluated", dtype=object)
    states[trials["bd_rate_percent"].isna()] = "failed"
    states[trials["stopped_at"].notna()] = "stopped"
    states[list(best)] = "best"
    return list(states)


def _row(trials: pd.DataFrame, identity: str | None) -> int | None:
    """Row of a trial by its id."""
    return None if identity is None else int(np.flatnonzero(trials["id"] == identity)[0])


def _risks(architectures: Sequence[Architecture]) -> list[str | None]:
    """Why Core ML may run each architecture off the Neural Engine; None if it should not."""
    return [
        "It may run outside the Neural Engine, which would take five to twenty times as long: "
        + "; ".join(risk["reasons"])
        + "."
        if risk["flagged"]
        else None
        for risk in (fallback_risks(architectures) if architectures else [])
    ]


def _metrics(trials: pd.DataFrame) -> dict[str, str]:
    """Labels of the metrics whose curves the trials have."""
    return {name: metric.label for name, metric in KNOWN.items() if f"curve_{name}" in trials}


def _curves(trials: pd.DataFrame) -> list[dict[str, list[float]] | None]:
    """The rate-distortion curve of each trial; None if it has none."""
    names = [name for name in trials.columns if name.startswith("curve_")]
    return [
        {name.removeprefix("curve_"): rounded(row[name]) for name in names}
        if names and isinstance(row["curve_bpp"], list | np.ndarray)
        else None
        for row in trials[names].to_dict("records")
    ]


def _reference(folder: Path, record: RunRecord) -> dict[str, Any] | None:
    """The reference architecture, if it has been evaluated."""
    if not ReferenceRecord.exists(folder):
        return None
    reference = ReferenceRecord.read(folder)
    rates = {f"bd_rate_{name}_percent": 0.0 for name in reference.bd_rates}
    values = reference.costs | rates | {BD_RATE: 0.0}
    return {"id": reference.id, "values": rounded(values), "curve": rounded(reference.curve)}


def _latency(
    folder: Path, architectures: Sequence[Architecture], trials: pd.DataFrame, record: RunRecord
) -> dict[str, Any] | None:
    """Parts of the predicted times of all architectures, in ms for 12 megapixels.

    Returns None if they do not add up to the trials' predicted times. The latency model is then
    another one than when the run began.
    """
    model = latency_model(folder)
    if model is None:
        return None
    halves = breakdowns(architectures, model, record.device)
    for half, breakdown in halves.items():
        if not np.allclose(breakdown.total_ms, trials[f"{half}_ms"]):
            return None
    return {half: _parts(breakdown) for half, breakdown in halves.items()}


def _decode_ratios(
    folder: Path, best: Sequence[Architecture], record: RunRecord
) -> dict[str, Any] | None:
    """Ratios of the decode times of all pairs of the best candidates, in the order of `best`.

    Returns None if the latency model cannot be read, or without any candidate.
    """
    model = latency_model(folder)
    if model is None or not best:
        return None
    return rounded(asdict(decode_ratios(best, model, record.device)))


def _parts(breakdown: Breakdown) -> dict[str, Any]:
    fixed = breakdown.fixed_ms[:, None]
    parts = {"stages": (breakdown.stages, breakdown.by_stage_ms),
             "ops": (breakdown.kinds, breakdown.by_kind_ms)}  # fmt: skip
    return {
        by: {
            "names": [*names, "fixed time per run"],
            "ms": rounded(np.hstack([ms, fixed]).round(3)),
        }
        for by, (names, ms) in parts.items()
    }


def _samples(folder: Path, best: Sequence[str], record: RunRecord) -> list[dict[str, Any]]:
    """The sample crops as coded by JPEG, AVIF, the reference and up to `MAX_SAMPLES` of `best`."""
    titles = {name: anchor(name).title for name in QUALITIES}
    if ReferenceRecord.exists(folder):
        titles[ReferenceRecord.read(folder).id] = "reference"
    spread = np.linspace(0, len(best) - 1, min(len(best), MAX_SAMPLES)).round().astype(int)
    ids = [*titles, *(best[place] for place in spread)]
    return [
        {
            "width": crop.original.width,
            "height": crop.original.height,
            "original": data_uri(crop.original),
            "codings": {
                name: {
                    "title": titles.get(name, name),
                    "caption": f"{coding.bytes:,} bytes, {coding.bpp:.2f} bpp, {coding.setting}",
                    "picture": data_uri(coding.picture),
                }
                for name, coding in crop.codings.items()
            },
        }
        for crop in read_samples(folder, list(dict.fromkeys(ids)))
    ]


def _progress(trials: pd.DataFrame, record: RunRecord) -> dict[str, Any]:
    """The run's figure of merit over evaluations and over hours."""
    curve = progress_curve(trials, record.goal)
    numbers = list(range(1, len(curve.reached) + 1))
    return {"evaluations": numbers} | rounded({"hours": curve.hours, "value": curve.reached})


def _calibration(done: pd.DataFrame) -> dict[str, Any] | None:
    """Forecasts of the surrogate against what was measured, with a sentence on their quality."""
    found = surrogate_calibration(done)
    if found is None:
        return None
    text = (
        f"{100 * found.coverage:.0f} % of {len(found.ids)} measured BD-rates lie in the 90 % "
        f"interval that was forecast before the evaluation; the mean absolute error is "
        f"{found.mean_absolute_error_percent:.1f} %."
    )
    return {"text": text} | rounded(asdict(found))


def _space_sample(folder: Path) -> dict[str, Any] | None:
    """Counts of the screened architectures over bins of compute and of decode time.

    Returns None if the run has no table of them, and warns if the table cannot be read.
    """
    path = folder / SCREEN_FILE
    if not path.exists():
        return None
    try:
        return _binned(read_table(path, ["kmac_per_px", "decode_ms"]))
    # pyarrow's errors are ValueErrors or OSErrors; values that are none cannot be binned.
    except (OSError, TypeError, ValueError) as error:
        warnings.warn(f"{path} is broken and was left out: {error}", InputWarning, stacklevel=2)
        return None


def _binned(screened: pd.DataFrame) -> dict[str, Any]:
    """Counts of architectures over bins. Raises ValueError for values that are not positive."""
    compute, time = screened["kmac_per_px"].to_numpy(), screened["decode_ms"].to_numpy()
    edges = np.geomspace(*_ends(time), BINS + 1), np.linspace(*_ends(compute), BINS + 1)
    counts, _ = np.histogramdd(np.column_stack([time, compute]), bins=edges)
    middles = [(each[1:] + each[:-1]) / 2 for each in edges]
    return {
        "y": rounded(middles[0]),
        "x": rounded(middles[1]),
        "counts": rounded(counts.astype(int)),
    }


def _ends(values: NDArray[Any]) -> tuple[float, float]:
    """The range of values, widened so that it is never empty."""
    return float(values.min()) * (1 - 1e-6), float(values.max()) * (1 + 1e-6) + 1e-9
