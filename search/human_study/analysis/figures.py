"""Figures of the analysis of a study."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from search.metrics.rate_distortion import INTERVAL_COVERAGE

BLUE, GREY = "#1a5fb4", "#9aa0a6"


def plot_elo(table: pd.DataFrame) -> Figure:
    """Plot Elo over rate, with intervals, one line per codec.

    Where rates are unknown, the conditions are plotted below each other.
    """
    if table["bpp"].isna().any():
        return _plot_list(table)
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    colours = plt.get_cmap("tab10")
    for i, (codec, group) in enumerate(table.groupby("codec", sort=False)):
        line = group.sort_values("bpp")
        axes.errorbar(
            line["bpp"], line["elo"], [line["elo"] - line["low"], line["high"] - line["elo"]],
            marker=".", lw=1.4, elinewidth=1, capsize=2, color=colours(i % 10), label=str(codec),
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(_round_rates(table["bpp"]))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("bits per pixel, mean over pictures")
    axes.set_ylabel(f"Elo, with {INTERVAL_COVERAGE:.0%} intervals")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _round_rates(rates: pd.Series[float]) -> list[float]:
    """Rates at which the axis has ticks: about one per factor of 2."""
    ticks = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 24]
    return [tick for tick in ticks if rates.min() * 0.9 <= tick <= rates.max() * 1.1]


def _plot_list(table: pd.DataFrame) -> Figure:
    """Plot Elo of conditions of unknown rate, the best at the top."""
    ordered = table.sort_values("elo")
    size = (8, 1.2 + 0.25 * len(ordered))
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    spread = [ordered["elo"] - ordered["low"], ordered["high"] - ordered["elo"]]
    axes.errorbar(ordered["elo"], ordered["condition"], xerr=spread, fmt=".", capsize=2, color=BLUE)
    axes.set_xlabel(f"Elo, with {INTERVAL_COVERAGE:.0%} intervals")
    axes.grid(alpha=0.25, axis="x")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_agreement(table: pd.DataFrame) -> Figure:
    """Plot Kendall's tau of each metric with Elo, at equal rate and over all conditions."""
    ordered = table.sort_values("equal_rate")
    figure, axes = plt.subplots(figsize=(8, 1.5 + 0.45 * len(ordered)), layout="constrained")
    places = np.arange(len(ordered))
    for shift, column, colour, label in (
        (0.15, "equal_rate", BLUE, "codecs at equal rate"),
        (-0.15, "kendall", GREY, "all conditions"),
    ):
        value = ordered[column]
        spread = [
            (value - ordered[f"{column}_low"]).clip(lower=0),
            (ordered[f"{column}_high"] - value).clip(lower=0),
        ]
        axes.errorbar(
            value, places + shift, xerr=spread, fmt="o", ms=4, capsize=2, color=colour, label=label
        )
    axes.set_yticks(places, ordered["metric"])
    axes.set_xlabel(f"Kendall's tau with Elo, with {INTERVAL_COVERAGE:.0%} intervals")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    axes.axvline(0, color="black", lw=0.6)
    axes.grid(alpha=0.25, axis="x")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
