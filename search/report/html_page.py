"""The interactive page of one run or several: one HTML file that needs no network.

The page holds its data as JSON, Plotly's script, and the scripts in `web/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import plotly.offline
from markupsafe import Markup

from search.report import sentences

WEB = Path(__file__).with_name("web")
"""Folder of the page's template, style and scripts."""
SCRIPTS = (
    "data", "theme", "drawing", "front_chart", "pins", "latency_chart", "curves_chart", "crops",
    "progress_chart", "mattered_chart", "parallel_chart", "space_chart", "choose", "tables", "live",
    "main",
)  # fmt: skip
"""Names of the scripts in the order in which they run."""


def html_page(
    title: str, heading: str, runs: Sequence[Mapping[str, Any]], measure: str, notes: Sequence[str]
) -> str:
    """The page of `runs`, each as `search.report.page_data.run_data` returns it.

    `heading` is that of the chart, `measure` the name of the figure that progress is measured by,
    and `notes` are paragraphs below the chart.
    """
    content = {"runs": runs, "axes": _axes(runs), "measure": measure, "live": True}
    loader = jinja2.FileSystemLoader(WEB)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.jinja").render(
        title=title,
        heading=heading,
        notes=notes,
        runs=runs,
        noun=runs[0]["goal"]["noun"],
        found=any(run["best"] for run in runs),
        sentences=sentences,
        data=_for_script(json.dumps(content, allow_nan=False, separators=(",", ":"))),
        css=Markup(_read("page.css")),
        plotly=Markup(plotly.offline.get_plotlyjs()),
        script=Markup("\n".join(_read(f"{name}.js") for name in SCRIPTS)),
    )


def _read(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


def _axes(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns of the chart's axes at first: a predicted cost, and a BD-rate above it.

    A run that minimises several BD-rates and no cost has a BD-rate on both axes. A band search is
    shown over decode time.
    """
    objectives = runs[0]["objectives"]
    rates = [name for name in objectives if name.startswith("bd_rate")]
    costs = [name for name in objectives if name not in rates]
    return [*costs, *rates[1:], "decode_ms"][:1] + rates[:1]


def _for_script(text: str) -> Markup:
    """JSON that cannot end the script element that holds it."""
    return Markup(text.replace("<", "\\u003c"))
