"""`report`: the page, pictures and tables of a run, from its folder alone."""

from __future__ import annotations

import base64
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import jinja2
import matplotlib.pyplot as plt
import pandas as pd

from search import plots
from search.costs import fallback_risk
from search.front import to_measure
from search.journal import JOURNAL, Journal
from search.records import (
    SCREEN_FILE,
    Overview,
    RecordError,
    ReferenceRecord,
    RunRecord,
    evaluated,
    overview,
)
from search.study import open_study
from space.architecture import Architecture
from space.search_space import Value, from_architecture

TEMPLATE = "report.html.jinja"
SAMPLES = "samples"
"""Folder of one reconstructed crop per candidate, which the replay of a table lacks."""


def write_report(folder: Path) -> Path:
    """Write `report.html`, `front.png`, `front.csv` and `trials.parquet`; return the page's path.

    Works on a run that is still going; without a finished trial the page says so. Raises
    RecordError for a folder that has the tables of a run but not its study.
    """
    if not (folder / JOURNAL).exists():
        raise RecordError(f"{folder / JOURNAL} is missing: a report is made from the run's study")
    record = RunRecord.read(folder)
    state = overview(open_study(Journal.of(folder)), record)
    state.trials.to_parquet(folder / "trials.parquet")
    state.best.to_csv(folder / "front.csv", index=False)
    failed = state.trials["error"].notna()
    template = _environment().get_template(TEMPLATE)
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
    path.write_text(page)
    return path


def _draw(folder: Path, state: Overview, record: RunRecord) -> dict[str, str]:
    """Draw every picture into the folder; by name, as data addresses."""
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
    if (folder / SAMPLES).exists():
        plots.samples(folder / SAMPLES, state.best, record).save(folder / "samples.png")
        drawn.append("samples")
    return {name: _address(folder / f"{name}.png") for name in drawn}


def _address(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _best(best: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Rows with what should be known before their times are believed."""
    return [
        row | {"fallback": fallback_risk(Architecture.from_json(row["architecture"]))}
        for row in best.assign(to_measure=to_measure).to_dict("records")
    ]


def _searched(best: pd.DataFrame) -> list[dict[str, Value]]:
    """Per architecture, its id and the parameters that were searched."""
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
