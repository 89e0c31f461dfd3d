"""Figures of the report, drawn from a run's tables."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from PIL import Image, ImageDraw

from search.metrics import KNOWN
from search.report.analysis.parameters import evenly_spread
from search.report.analysis.progress import reached_after_each
from search.report.columns import plain_label
from search.report.sample_crops import SampleCrop
from search.study.goal import Band
from search.study.objectives import BD_RATE, COSTS, PAIR, bd_rate_column, costs_first
from search.study.records import ReferenceRecord, RunRecord

GREY, BLUE, RED = "#9aa0a6", "#1a5fb4", "#c01c28"
MAX_SAMPLES, MAX_CURVES = 4, 8
"""Largest numbers of candidates whose sample crops and rate-distortion curves are shown in one
figure. More could not be told apart."""
SAMPLE_COLUMNS, CAPTION_PX, GAP_PX = 4, 34, 6
"""Pictures side by side on the sheet of sample crops, the height of captions, and the gap."""


def plot_outcome(
    trials: pd.DataFrame, best: pd.DataFrame, record: RunRecord, reference: ReferenceRecord
) -> Figure:
    """Plot candidates by their objectives; highlight the front or shortlist.

    For BD-rate and decode time there is one panel, for other objectives one panel per pair.
    """
    if not record.band and set(record.goal.objectives) != set(PAIR):
        return _plot_pairs(trials, best, record, reference)
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    evaluated = trials["bd_rate_percent"].notna().sum()
    others = trials[~trials["id"].isin(best["id"])]
    axes.scatter(
        others["decode_ms"], others["bd_rate_percent"], s=22, color=GREY, label="evaluated"
    )
    if record.rungs:
        axes.scatter(
            trials["decode_ms"], trials["expected_percent"], s=22, facecolor="none",
            edgecolor=GREY, label="stopped early (forecast)",
        )  # fmt: skip
    axes.scatter(
        best["decode_ms"], best["bd_rate_percent"], s=40, color=BLUE, label=record.goal.noun,
        zorder=3,
    )  # fmt: skip
    if isinstance(record.goal, Band):
        _draw_band(axes, record.goal, best, reference)
    else:
        _draw_front(axes, best, reference)
    axes.set_xlabel(f"predicted decode time, 12 MP on {record.device} (ms)")
    axes.set_ylabel(f"BD-rate by {KNOWN[record.metric].label} (%), lower is better")
    axes.set_title(f"{record.name}: {evaluated} of {record.space_size:,} architectures evaluated")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    return figure


def _plot_pairs(
    trials: pd.DataFrame, front: pd.DataFrame, record: RunRecord, reference: ReferenceRecord
) -> Figure:
    """One panel per pair of objectives, with predicted costs on the horizontal axis."""
    pairs = list(combinations(costs_first(record.goal.objectives), 2))
    columns = min(len(pairs), 3)
    rows = -(-len(pairs) // columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(5.2 * columns, 4.2 * rows), layout="constrained", squeeze=False
    )
    for unused in panels.flat[len(pairs) :]:
        unused.remove()
    for axes, pair in zip(panels.flat, pairs, strict=False):
        _draw_pair(axes, pair, trials, front, record, reference)
    panels[0, 0].legend(frameon=False, fontsize=8)
    evaluated = trials[BD_RATE].notna().sum()
    figure.suptitle(f"{record.name}: {evaluated} of {record.space_size:,} architectures evaluated")
    return figure


def _draw_pair(
    axes: Axes,
    pair: tuple[str, str],
    trials: pd.DataFrame,
    front: pd.DataFrame,
    record: RunRecord,
    reference: ReferenceRecord,
) -> None:
    """Candidates by two objectives. The front is that of all objectives."""
    across, up = pair
    others = trials[trials[BD_RATE].notna() & ~trials["id"].isin(front["id"])]
    axes.scatter(others[across], others[up], s=16, color=GREY, label="evaluated")
    if record.rungs and up == BD_RATE:
        axes.scatter(
            trials[across], trials["expected_percent"], s=16, facecolor="none", edgecolor=GREY,
            label="stopped early (forecast)",
        )  # fmt: skip
    axes.scatter(front[across], front[up], s=26, color=BLUE, label=record.goal.noun, zorder=3)
    # The reference's own BD-rates are 0.
    place = [reference.costs.get(name, 0.0) for name in pair]
    axes.scatter(
        place[0], place[1], marker="*", s=150, color=RED, edgecolor="white",
        label="reference architecture", zorder=4,
    )  # fmt: skip
    axes.set_xlabel(_axis_label(across, record))
    axes.set_ylabel(_axis_label(up, record))
    for name, axis in ((across, axes.xaxis), (up, axes.yaxis)):
        if name in COSTS:
            axis.axes.set(**{f"{axis.axis_name}scale": "log"})
            _readable_ticks(axis)
    axes.grid(alpha=0.25)


def _axis_label(objective: str, record: RunRecord) -> str:
    """Label of the axis of an objective, with its unit."""
    if objective.endswith("_ms"):
        return f"predicted {COSTS[objective]}, 12 MP on {record.device} (ms)"
    if objective in COSTS:
        return COSTS[objective]
    others = (name for name in KNOWN if bd_rate_column(name) == objective)
    return f"BD-rate by {plain_label(next(others, record.metric))} (%), lower is better"


def _draw_front(axes: Axes, front: pd.DataFrame, reference: ReferenceRecord) -> None:
    """The front with the intervals of its times, and the reference."""
    spread = np.abs(
        front[["decode_low_ms", "decode_high_ms"]].to_numpy().T - front["decode_ms"].to_numpy()
    )
    axes.errorbar(
        front["decode_ms"], front["bd_rate_percent"], xerr=spread, fmt="none",
        ecolor=BLUE, alpha=0.35, capsize=2, label="90 % interval of the prediction",
    )  # fmt: skip
    axes.step(front["decode_ms"], front["bd_rate_percent"], where="post", color=BLUE, lw=1)
    axes.scatter(
        reference.costs["decode_ms"], 0, marker="*", s=170, color=RED,
        edgecolor="white", label="reference architecture", zorder=4,
    )  # fmt: skip
    for row in front.iloc[[0, -1]].to_dict("records"):
        _label(axes, row, row["id"])
    axes.set_xscale("log")
    _readable_ticks(axes.xaxis)


def _draw_band(axes: Axes, band: Band, shortlist: pd.DataFrame, reference: ReferenceRecord) -> None:
    """The band, the best candidate, and the reference, which may lie far outside the band.

    Intervals of decode times are many times as wide as the band and are shown only in the table.
    """
    axes.axvspan(band.low_ms, band.high_ms, color=BLUE, alpha=0.08, label=str(band))
    axes.axhline(
        0, color=RED, ls="--", lw=1,
        label=f"reference architecture, {reference.costs['decode_ms']:.0f} ms",
    )  # fmt: skip
    first = shortlist.iloc[0].to_dict()
    axes.scatter(
        first["decode_ms"], first["bd_rate_percent"], s=150, facecolor="none", edgecolor=BLUE,
    )  # fmt: skip
    _label(axes, first, f"{first['id']}, {first['bd_rate_percent']:+.2f} %")
    margin = (band.high_ms - band.low_ms) / 4
    axes.set_xlim(band.low_ms - margin, band.high_ms + margin)


def _label(axes: Axes, row: dict[Hashable, Any], text: str) -> None:
    axes.annotate(
        text, (row["decode_ms"], row["bd_rate_percent"]), xytext=(6, 6),
        textcoords="offset points", fontsize=8, color=BLUE,
    )  # fmt: skip


def _readable_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers, and enough of them."""
    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())


def plot_progress(trials: pd.DataFrame, record: RunRecord) -> Figure:
    """Plot the figure of merit that the run's goal defines, after each evaluation."""
    reached = reached_after_each(trials.sort_values("finished"), record.goal)
    figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    axes.step(range(1, len(reached) + 1), reached, where="post", color=BLUE)
    axes.set_xlabel("evaluations")
    axes.set_ylabel(record.goal.measure)
    axes.grid(alpha=0.25)
    return figure


def plot_curves(best: pd.DataFrame, reference: ReferenceRecord) -> Figure:
    """Plot rate-distortion curves, one panel per metric, of the reference and some of the best.

    `best` holds the best candidates, of which at most MAX_CURVES are shown.
    """
    best = evenly_spread(best, MAX_CURVES)
    metrics = [name for name in reference.curve if name != "bpp"]
    rows = -(-len(metrics) // 2)
    figure, panels = plt.subplots(
        rows, 2, figsize=(9, 3.5 * rows), layout="constrained", squeeze=False
    )
    for unused in panels.flat[len(metrics) :]:
        unused.remove()
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(best)))
    for axes, metric in zip(panels.flat, metrics, strict=False):
        for colour, row in zip(colours, best.to_dict("records"), strict=True):
            axes.plot(
                row["curve_bpp"], row[f"curve_{metric}"], ".-", color=colour, lw=1,
                label=f"{row['bd_rate_percent']:+.1f} %, {row['decode_ms']:.0f} ms",
            )  # fmt: skip
        axes.plot(
            reference.curve["bpp"],
            reference.curve[metric],
            "*--",
            color=RED,
            label="reference",
        )
        axes.set_xlabel("bpp")
        axes.set_ylabel(KNOWN[metric].label)
        axes.grid(alpha=0.25)
    panels[0, 0].legend(frameon=False, fontsize=8)
    return figure


def plot_space(screened: pd.DataFrame, record: RunRecord) -> Figure:
    """Plot predicted decode time over multiply-accumulates of the screened architectures."""
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    axes.hexbin(
        screened["kmac_per_px"], screened["decode_ms"], yscale="log", bins="log", gridsize=60,
        cmap="Blues", mincnt=1,
    )  # fmt: skip
    _readable_ticks(axes.yaxis)
    axes.set_xlabel("decoder kMAC/px")
    axes.set_ylabel(f"decode ms on {record.device}")
    return figure


def samples(crops: Sequence[SampleCrop], best: pd.DataFrame, reference_id: str) -> Image.Image:
    """Sheet of sample crops at equal bytes, in their own resolution.

    For each crop it has the original, its codings by JPEG, AVIF and the reference architecture, and
    those by at most MAX_SAMPLES of the `best` candidates.
    """
    titles = {"jpeg": "JPEG", "avif": "AVIF", reference_id: "reference architecture"}
    for row in evenly_spread(best, MAX_SAMPLES).to_dict("records"):
        titles.setdefault(row["id"], f"{row['id']}, {row['decode_ms']:.0f} ms to decode 12 MP")
    lines = [line for crop in crops for line in _lines(_tiles(crop, titles))]
    widest = max(tile.width for line in lines for tile in line)
    width = SAMPLE_COLUMNS * (widest + GAP_PX) - GAP_PX
    sheet = Image.new("RGB", (width, sum(line[0].height for line in lines)), "white")
    top = 0
    for line in lines:
        for column, tile in enumerate(line):
            sheet.paste(tile, (column * (widest + GAP_PX), top))
        top += line[0].height
    return sheet


def _tiles(crop: SampleCrop, titles: Mapping[str, str]) -> list[Image.Image]:
    """The original and those codings of a crop that have a title, with captions."""
    tiles = [_tile(crop.original, "original")]
    for name, title in titles.items():
        if coding := crop.codings.get(name):
            figures = f"{coding.bytes:,} bytes, {coding.bpp:.2f} bpp, {coding.setting}"
            tiles.append(_tile(coding.picture, f"{title}\n{figures}"))
    return tiles


def _tile(picture: Image.Image, caption: str) -> Image.Image:
    tile = Image.new("RGB", (picture.width, picture.height + CAPTION_PX), "white")
    ImageDraw.Draw(tile).text((0, 3), caption, fill="black")
    tile.paste(picture, (0, CAPTION_PX))
    return tile


def _lines(tiles: Sequence[Image.Image]) -> list[Sequence[Image.Image]]:
    return [tiles[i : i + SAMPLE_COLUMNS] for i in range(0, len(tiles), SAMPLE_COLUMNS)]
