"""`report`: the page, pictures and tables of a run, from its folder alone."""

from __future__ import annotations

import base64
from pathlib import Path

import jinja2
import matplotlib.pyplot as plt
import pandas as pd

from search import plots
from search.records import SCREEN_FILE, RunRecord, overview
from search.study import open_study

TEMPLATE = "report.html.jinja"


def write_report(folder: Path) -> Path:
    """Write `report.html`, `front.png`, `front.csv` and `trials.parquet`; return the page's path.

    Works on a run that is still going; without a finished trial only the tables are written.
    """
    record = RunRecord.read(folder)
    state = overview(open_study(folder), record)
    done = state.trials[state.trials["error"].isna()]
    state.trials.to_parquet(folder / "trials.parquet")
    state.front.to_csv(folder / "front.csv", index=False)
    pictures = _draw(folder, done, state.front, record) if len(done) else {}
    page = (
        _environment()
        .get_template(TEMPLATE)
        .render(
            record=record,
            pictures=pictures,
            front=state.front.to_dict("records"),
            parameters=_searched(state.front),
            evaluated=len(done),
            failed=state.trials[state.trials["error"].notna()].to_dict("records"),
            hypervolume=state.hypervolume,
        )
    )
    path = folder / "report.html"
    path.write_text(page)
    return path


def _draw(
    folder: Path, done: pd.DataFrame, front: pd.DataFrame, record: RunRecord
) -> dict[str, str]:
    """Pictures by name, as data addresses; the front's is also left as a file."""
    plots.plot_front(done, front, record).savefig(folder / "front.png", dpi=150)
    figures = {
        "progress": plots.plot_progress(done, record),
        "space": plots.plot_space(pd.read_parquet(folder / SCREEN_FILE), record),
    }
    if record.reference_id in set(done["id"]):
        figures["curves"] = plots.plot_curves(done, front, record)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=110)
    plt.close("all")
    plots.samples(folder / "samples", front, record).save(folder / "samples.png")
    names = ("front", "samples", *figures)
    return {name: _address(folder / f"{name}.png") for name in names}


def _address(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _searched(front: pd.DataFrame) -> list[str]:
    """Names of the parameters that were searched."""
    return [name for name in front.columns if "." in name or name.endswith("_channels")]


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
