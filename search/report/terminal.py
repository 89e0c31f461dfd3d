"""The best candidates of a run as text: a table, and a plot over the predicted decode time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import plotext
from rich import box
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from search.report.json_document import knee_id
from search.study.folders import read_study
from search.study.goal import Band
from search.study.objectives import BD_RATE, COSTS
from search.study.records import Overview, ReferenceRecord, RunRecord, evaluated, overview
from search.study.relative_times import faster_than_next

MAX_ROWS = 20
"""Largest number of candidates in the table."""
PLOT_HEIGHT = 20
"""Height of the plot in lines."""
NARROWEST_PLOT = 40
"""Width in columns of the narrowest terminal in which a plot can be read."""
TICKS = 6
"""Number of ticks of the axis of decode times."""
FASTER, INTERVAL, COMPUTE = "faster than next", "90 % interval", "kMAC/px"
"""Headers of the columns that a narrow terminal lacks first. The first one has the probability that
a candidate decodes faster than that of the next row, on a phone on which both are measured."""
SHOWN = (BD_RATE, "decode_ms", "kmac_per_px")
"""Objectives that are in the table of every run."""
OTHER, BEST, KNEE, REFERENCE = "·", "●", "◆", "★"
"""Markers of the plot."""

Columns = dict[str, list[str]]
"""Cells of each column of the table, by header."""


def print_best(folder: Path, console: Console) -> None:
    """Print a table and a plot of the best candidates of the run in a folder.

    Both fit the width of the console. Raises RecordError if the folder lacks the run's study.
    """
    record = RunRecord.read(folder)
    state = overview(read_study(folder), record)
    console.print(_heading(state, record), highlight=False)
    if state.best.empty:
        return
    knee = knee_id(state.best, record)
    rows = _spread(state.best, knee)
    columns = _columns(rows, knee, record, faster_than_next(folder, rows, record))
    _print_table(columns, len(state.best), record, console)
    # An encoding such as ASCII has no characters for the plot.
    if console.width >= NARROWEST_PLOT and not console.options.ascii_only:
        reference = None if isinstance(record.goal, Band) else ReferenceRecord.read(folder)
        console.print(_key(record, reference), highlight=False)
        plot = _plot(state, knee, reference, console.width)
        console.print(Text.from_ansi(plot), soft_wrap=False)


def _heading(state: Overview, record: RunRecord) -> str:
    """A sentence on what the run has evaluated and reached."""
    done = len(evaluated(state.trials))
    best = f"{record.goal.noun} of {len(state.best)} among " if done else ""
    return f"{record.name}: {best}{done} evaluated candidates, {state.standing}."


def _print_table(columns: Columns, best: int, record: RunRecord, console: Console) -> None:
    """Print the table, and a sentence on each kind of figures that it lacks."""
    objectives = [_header(name) for name in _others(record)]
    droppable = [name for name in (FASTER, INTERVAL, COMPUTE, *objectives[::-1]) if name in columns]
    fitting = _fitting(columns, droppable, console)
    wide, narrow = _table(fitting), _table(fitting, narrow=True)
    too_wide = _bounds(wide, console).maximum > console.width >= _bounds(narrow, console).maximum
    console.print(narrow if too_wide else wide, soft_wrap=False, highlight=False)
    missing = [header for header in columns if header not in fitting]
    if missing:
        console.print(f"Left out for lack of width: {', '.join(missing)}.", highlight=False)
    if best > MAX_ROWS:
        others = f"{best - MAX_ROWS} others of the {record.goal.noun}"
        console.print(f"Left out for length: {others}, which front.csv lists.", highlight=False)


def _others(record: RunRecord) -> list[str]:
    """Objectives of a run that are not in the table of every run."""
    return [name for name in record.goal.objectives if name not in SHOWN]


def _columns(
    rows: pd.DataFrame, knee: str | None, record: RunRecord, faster: Sequence[float] | None
) -> Columns:
    """The columns of the table. The last one marks the knee.

    `faster` are the probabilities that each row decodes faster than the next, if they are known.
    """
    ends = zip(rows["decode_low_ms"], rows["decode_high_ms"], strict=True)
    columns = {
        "id": rows["id"].tolist(),
        "BD-rate %": [f"{rate:+z.2f}" for rate in rows[BD_RATE]],
        "decode ms": [f"{ms:.1f}" for ms in rows["decode_ms"]],
        INTERVAL: [f"{low:.1f} to {high:.1f}" for low, high in ends],
        COMPUTE: [f"{kmac:.1f}" for kmac in rows["kmac_per_px"]],
    }
    if faster is not None:
        columns[FASTER] = [*(">99%" if p > 0.995 else f"{p:.0%}" for p in faster), ""]
    for name in _others(record):
        form = ".4g" if name in COSTS else "+z.2f"
        columns[_header(name)] = [f"{value:{form}}" for value in rows[name]]
    return columns | {"": ["knee" if id == knee else "" for id in rows["id"]]}


def _header(objective: str) -> str:
    """Header of an objective, whose words may be on lines of their own."""
    return objective.replace("_", " ")


def _table(columns: Columns, narrow: bool = False) -> Table:
    """A table in which no cell is broken into lines. If it is `narrow`, headers are."""
    table = Table(box=box.SIMPLE_HEAD)
    for header, cells in columns.items():
        side: JustifyMethod = "left" if header in ("id", "") else "right"
        least = max(map(len, [*cells, *header.split()]))
        table.add_column(header, justify=side, width=least if narrow else None, min_width=least)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def _fitting(columns: Columns, first: Sequence[str], console: Console) -> Columns:
    """The columns without as many of those in `first` as do not fit the console's width."""
    left = dict(columns)
    for header in first:
        if _bounds(_table(left, narrow=True), console).minimum > console.width:
            del left[header]
    return left


def _bounds(table: Table, console: Console) -> Measurement:
    """The smallest and the largest width of a table in columns of text."""
    return Measurement.get(console, console.options.update(max_width=10_000), table)


def _spread(best: pd.DataFrame, knee: str | None) -> pd.DataFrame:
    """At most `MAX_ROWS` rows, spread evenly, including the first, the last and the knee."""
    if len(best) <= MAX_ROWS:
        return best
    rows = np.linspace(0, len(best) - 1, MAX_ROWS).round().astype(int)
    inner = rows[1:-1]
    for row in np.flatnonzero(best["id"] == knee):
        if row not in rows:
            inner[np.abs(inner - row).argmin()] = row
    return best.iloc[rows]


def _key(record: RunRecord, reference: ReferenceRecord | None) -> str:
    """The meaning of the markers."""
    key = [f"{BEST} {record.goal.noun}", f"{OTHER} others"]
    if reference:
        key = [key[0], f"{KNEE} knee", key[1], f"{REFERENCE} reference"]
    return "  ".join(key)


def _plot(state: Overview, knee: str | None, reference: ReferenceRecord | None, width: int) -> str:
    """A plot of BD-rates over decode times with colours as escape codes, `width` columns wide."""
    done, best = evaluated(state.trials), state.best
    series = [(done[~done["id"].isin(best["id"])], OTHER, "gray"), (best, BEST, "blue")]
    if reference:
        point = pd.DataFrame([{"decode_ms": reference.costs["decode_ms"], BD_RATE: 0.0}])
        series += [(point, REFERENCE, "red"), (best[best["id"] == knee], KNEE, "red")]
    figure = plotext.figure
    figure.clear()
    plotext.terminal.limit(False, False)
    figure.theme("simple")
    figure.plot_size(width, PLOT_HEIGHT)
    for points, marker, colour in series:
        # plotext 6.1.0 draws nothing on a logarithmic axis with ticks of one's own.
        ms = np.log10(points["decode_ms"].to_numpy(float))
        shown = plotext.marker(marker, plotext.pixel(colour))
        figure.draw(figure.signal(ms.tolist(), points[BD_RATE].tolist(), marker=shown))
    every = np.concatenate([points["decode_ms"].to_numpy(float) for points, _, _ in series])
    ticks = np.unique(np.geomspace(every.min(), every.max(), TICKS))
    figure.ruler("x").ticks(np.log10(ticks).tolist(), [_tick(ms) for ms in ticks])
    figure.label("decode ms", "x")
    figure.label("BD-rate %", "y")
    return str(figure.build().string()).rstrip()


def _tick(ms: float) -> str:
    """A time with three digits and no exponent."""
    return np.format_float_positional(ms, precision=3, fractional=False, trim="-")
