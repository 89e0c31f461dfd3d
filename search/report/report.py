"""`python -m search report`: page, figures and tables of a run, from its folder alone."""

from __future__ import annotations

import base64
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import jinja2
import matplotlib.pyplot as plt
import pandas as pd

from latency_predictor.writing import write_whole
from search.costs.costs import fallback_risk
from search.report import plots
from search.study.folders import TRIALS
from search.study.front import to_measure
from search.study.journal import JOURNAL, Journal
from search.study.records import (
    SCREEN_FILE,
    Overview,
    RecordError,
    ReferenceRecord,
    RunRecord,
    evaluated,
    overview,
)
from search.study.study import open_study
from space.architecture import Architecture
from space.search_space import Value, from_architecture

PAGE_TEMPLATE = "report.html.jinja"
SAMPLES_FOLDER = "samples"
"""Folder with one reconstructed crop per candidate; a run that replays a table has none."""


def write_report(folder: Path) -> Path:
    """Write the report of the run in a folder into that folder; return the path of `report.html`.

    The files are `report.html`, its figures such as `front.png`, and the tables `front.csv` and
    `trials.parquet`. The run may still be in progress; if no trial has finished, the page says so.
    Raises RecordError if the folder lacks the run's study.
    """
    if not (folder / JOURNAL).exists():
        raise RecordError(f"{folder / JOURNAL} is missing: a report needs the run's study")
    record = RunRecord.read(folder)
    state = overview(open_study(Journal.of(folder)), record)
    write_whole(folder / TRIALS, state.trials.to_parquet())
    write_whole(folder / "front.csv", state.best.to_csv(index=False).encode())
    failed = state.trials["error"].notna()
    template = _environment().get_template(PAGE_TEMPLATE)
    page = template.render(
        record=record,
        goal=record.goal,
        pictures=_draw(folder, state, record) if len(state.best) else {},
        best=_best(state.best),
        searched=_searched(state.best),
        evaluated=len(evaluated(state.trials)),
        stopped=int(state.trials["stopped_at"].notna().sum()),
        failed=state.trials[failed].to_dict("records"),
        standing=state.standing,
    )
    path = folder / "report.html"
    write_whole(path, page.encode())
    return path


def _draw(folder: Path, state: Overview, record: RunRecord) -> dict[str, str]:
    """Draw the figures into the folder; return their data URIs by name."""
    done = evaluated(state.trials)
    reference = ReferenceRecord.read(folder)
    figures = {
        "front": plots.plot_outcome(state.trials, state.best, record, reference),
        "curves": plots.plot_curves(state.best, reference),
        "progress": plots.plot_progress(done, record),
        "space": plots.plot_space(pd.read_parquet(folder / SCREEN_FILE), record),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=130)
        plt.close(figure)
    drawn = list(figures)
    if (folder / SAMPLES_FOLDER).exists():
        plots.samples(folder / SAMPLES_FOLDER, state.best, record).save(folder / "samples.png")
        drawn.append("samples")
    return {name: _data_uri(folder / f"{name}.png") for name in drawn}


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _best(best: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Rows of the best candidates, with the fall-back risk and whether a phone should time them."""
    return [
        row | {"fallback": fallback_risk(Architecture.from_json(row["architecture"]))}
        for row in best.assign(to_measure=to_measure).to_dict("records")
    ]


def _searched(best: pd.DataFrame) -> list[dict[str, Value]]:
    """The id and the searched parameters of each of the best candidates."""
    return [
        {"id": row["id"]}
        | {
            name: value
            for name, value in from_architecture(
                Architecture.from_json(row["architecture"])
            ).items()
            if name in best.columns
        }
        for row in best.to_dict("records")
    ]


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
