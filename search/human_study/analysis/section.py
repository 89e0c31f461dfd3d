"""The section "What people see" of a model card, in Markdown."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from search.human_study.analysis.results import Analysis
from search.human_study.answers import NOBODY
from search.metrics.rate_distortion import INTERVAL_COVERAGE
from search.report.markdown import markdown_table

INTERVALS = f"{INTERVAL_COVERAGE:.0%} credible interval"


def section(result: Analysis) -> str:
    """The section for these results, which refers to the figures beside it."""
    parts = [
        "## What people see",
        _basis(result),
        elo_rows(result.conditions),
        "![Elo over rate](elo.png)",
    ]
    if len(result.differences):
        parts += ["Differences between codecs at equal rate:", _difference_rows(result.differences)]
    if len(result.bd_rates):
        parts += ["BD-rates by Elo:", bd_rate_rows(result.bd_rates)]
    if len(result.metrics):
        parts += [
            "Agreement of metrics with these people. Kendall's tau of 1 is full agreement in order "
            "and 0 is none. The last columns count single answers.",
            _metric_rows(result.metrics),
            "![Agreement of metrics](metrics.png)",
        ]
    return "\n\n".join(parts) + "\n"


def _basis(result: Analysis) -> str:
    """What the figures rest on, and what the intervals cover."""
    participants = result.participants
    if (participants["participant"] == NOBODY).all():
        people, covered = "unnamed participants", "pictures like these, but not other people"
    else:
        out = participants[(participants["excluded"] != "") & result.excludes]
        people = f"{len(participants) - len(out)} participants"
        if len(out):
            reasons = "; ".join(out["excluded"])
            people += f" ({len(out)} more excluded by rules stated in advance: {reasons})"
        covered = "pictures and people like these"
    return (
        f"{result.answers:,} blind answers by {people} about {result.pictures} pictures: which of "
        f"two reconstructions is closer to the original? Elo is relative to the mean of all "
        f"conditions, 1500. The intervals hold for {covered}: they contain the differences "
        f"between pictures that the answers show. They do not contain the spread of rates over "
        f"pictures."
    )


def elo_rows(conditions: pd.DataFrame) -> str:
    """Table of Elo in order of codec and rate."""
    rows = [
        (
            row["condition"],
            "" if pd.isna(row["bpp"]) else f"{row['bpp']:.3f}",
            f"{row['elo']:.0f}",
            f"{row['low']:.0f} to {row['high']:.0f}",
            row["answers"],
        )
        for row in conditions.to_dict("records")
    ]
    return markdown_table(("condition", "bpp", "Elo", INTERVALS, "answers"), rows)


def _difference_rows(differences: pd.DataFrame) -> str:
    """Table of differences between codecs at equal rate."""
    rows = [
        (
            f"{row['codec']} against {row['reference']}",
            f"{row['target_bpp']:g}",
            f"{row['elo']:+.0f}",
            f"{row['low']:+.0f} to {row['high']:+.0f}",
            f"{row['probability']:.0%}",
        )
        for row in differences.to_dict("records")
    ]
    return markdown_table(("", "bpp", "Elo", INTERVALS, "probably better"), rows)


def bd_rate_rows(bd_rates: pd.DataFrame) -> str:
    """Table of BD-rates, or of the reasons why there are none."""
    rows = [
        (
            f"{row['codec']} against {row['reference']}",
            "" if pd.isna(row["percent"]) else f"{row['percent']:+.1f} %",
            row["why_not"] or f"{row['low']:+.1f} to {row['high']:+.1f} %",
        )
        for row in bd_rates.to_dict("records")
    ]
    return markdown_table(("", "BD-rate", INTERVALS), rows)


def _metric_rows(metrics: pd.DataFrame) -> str:
    """Table of the agreement of metrics with people, the best at equal rate first."""

    def with_interval(row: dict[Hashable, Any], name: str) -> str:
        if pd.isna(row[name]):
            return "none"
        return f"{row[name]:.2f} ({row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f})"

    rows = [
        (
            row["metric"],
            with_interval(row, "equal_rate"),
            with_interval(row, "kendall"),
            f"{row['spearman']:.2f}",
            "none" if pd.isna(row["answers_equal_rate"]) else f"{row['answers_equal_rate']:.0%}",
            f"{row['answers']:.0%}",
        )
        for row in metrics.sort_values("equal_rate", ascending=False).to_dict("records")
    ]
    headers = (
        "metric", "Kendall at equal rate", "Kendall over all", "Spearman over all",
        "answers at equal rate", "all answers",
    )  # fmt: skip
    return markdown_table(headers, rows)
