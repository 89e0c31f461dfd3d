"""`python -m search report`: page, figures and tables of a run, from its folder alone."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from latency_predictor.writing import write_whole
from search.data.table_file import table_bytes
from search.report import plots, sentences
from search.report.html_page import html_page
from search.report.page_data import page_run
from search.report.sample_crops import read_samples
from search.study.folders import TRIALS, read_study
from search.study.records import (
    Overview,
    ReferenceRecord,
    RunRecord,
    evaluated,
    overview,
)
from search.study.relative_times import with_ratios

PAGE = "report.html"


def write_report(folder: Path) -> Path:
    """Write the report of the run in a folder into that folder; return the path of `report.html`.

    The files are `report.html`, the figures `front.png`, `front.svg`, `hypervolume.png` and
    `curves.png`, and the tables `front.csv` and `trials.parquet`. The run may still be in progress;
    if no trial has finished, the page says so. Raises RecordError if the folder lacks the run's
    study.
    """
    record = RunRecord.read(folder)
    state = overview(read_study(folder), record)
    # The page reads all files of the run, so that a damaged one is found before any is written.
    data = page_run(folder, state, record)
    title = f"{record.name}: {record.goal.title}"
    page = html_page(
        title, record.goal.title, [data], record.goal.measure, sentences.notes(state, record)
    )
    trials = with_ratios(folder, state.trials, record)
    best = trials.loc[state.best.index]
    write_whole(folder / TRIALS, table_bytes(trials))
    write_whole(folder / "front.csv", best.to_csv(index=False).encode())
    if len(state.best):
        _draw(folder, state, record)
    path = folder / PAGE
    write_whole(path, page.encode())
    return path


def _draw(folder: Path, state: Overview, record: RunRecord) -> None:
    """Draw the figures into the folder."""
    done = evaluated(state.trials)
    reference = ReferenceRecord.read(folder)
    front = plots.plot_outcome(state.trials, state.best, record, reference)
    write_whole(folder / "front.svg", _drawn(front, "svg"))
    figures = {
        "front": front,
        "curves": plots.plot_curves(state.best, reference),
        "hypervolume": plots.plot_progress(done, record),
    }
    for name, figure in figures.items():
        write_whole(folder / f"{name}.png", _drawn(figure, "png"))
        plt.close(figure)
    if crops := read_samples(folder, [reference.id, *state.best["id"]]):
        file = BytesIO()
        plots.samples(crops, state.best, reference.id).save(file, "PNG")
        write_whole(folder / "samples.png", file.getvalue())


def _drawn(figure: Figure, kind: str) -> bytes:
    file = BytesIO()
    figure.savefig(file, format=kind, dpi=130)
    return file.getvalue()
