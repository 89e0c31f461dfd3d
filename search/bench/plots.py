"""Rate-distortion plots of a bench."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from search.bench.results import Results
from search.metrics import find_metric
from search.metrics.rate_distortion import mean_curve

LABEL_GAP = 0.045
"""Smallest distance between two labels, as a fraction of the axis."""


def plot_rate_distortion(results: Results, metric: str) -> Figure:
    """Plot mean quality over mean rate, with one labelled line per codec; the anchor is dashed."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    colours = plt.get_cmap("tab10")
    ends = []
    for i, codec in enumerate(results.codecs):
        digests = results.shared(codec.name)
        if digests:
            curve = mean_curve(results.curves(codec.name, digests))
            style = "--" if codec is results.anchor else "-"
            axes.plot(curve["bpp"], curve[metric], style, marker=".", lw=1.4, color=colours(i % 10))
            ends.append((codec.title, curve["bpp"][-1], curve[metric][-1], colours(i % 10)))
    axes.set_xlim(left=0)
    _label(axes, ends)
    axes.set_xlabel("bits per pixel, mean over photographs")
    axes.set_ylabel(find_metric(metric).label)
    axes.set_title(f"{len(results.photographs)} photographs; up and left is better")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _label(axes: Axes, ends: Sequence[tuple[str, float, float, object]]) -> None:
    """Label the lines in the right margin, each as close to its end as other labels allow."""
    low, high = axes.get_ylim()
    ordered = sorted(ends, key=lambda end: end[2])
    wanted = np.array([(end[2] - low) / (high - low) for end in ordered])
    for (title, bpp, quality, colour), place in zip(ordered, _spread(wanted), strict=True):
        axes.annotate(
            title, (bpp, quality), xytext=(1.03, place), textcoords="axes fraction", color=colour,
            va="center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "alpha": 0.5},
        )  # fmt: skip


def _spread(wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Increasing positions at least LABEL_GAP apart and at most 1, close to the sorted `wanted`."""
    places = wanted.copy()
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + LABEL_GAP)
    if len(places):
        places[-1] = min(places[-1], 1.0)
    for i in range(len(places) - 2, -1, -1):
        places[i] = min(places[i], places[i + 1] - LABEL_GAP)
    return places
