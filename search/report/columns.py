"""Columns of the interactive page: the figures of a trial, their names for people and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from search.metrics import KNOWN
from search.study.objectives import BD_RATE, bd_rate_column
from search.study.records import RunRecord
from space.search_space import PARAMETERS

QUALITY, TIME, SIZE, PARAMETER = "Quality", "Time", "Size", "Parameters"
"""Headings under which the page offers columns."""
INTERVALS = {
    half: (f"{half[:-3]}_low_ms", f"{half[:-3]}_high_ms") for half in ("decode_ms", "encode_ms")
}
"""Columns of the ends of the 90 % interval of each time that has one."""


@dataclass(frozen=True)
class Column:
    """One figure of a trial."""

    name: str
    """Name in the table of trials."""
    label: str
    """Name for people, without the unit."""
    unit: str
    group: str
    """Heading under which the page offers the column; empty if it is not offered."""
    tabled: bool = False
    """Whether the table of the best candidates shows the column."""

    def as_json(self, values: pd.Series[Any]) -> dict[str, Any]:
        """The column as the page's scripts read it. Its `values` decide whether it has levels."""
        found = {
            "name": self.name,
            "label": self.label,
            "axis": self.name if self.group == PARAMETER else self.label,
            "unit": self.unit,
            "title": f"{self.label} ({self.unit})" if self.unit else self.label,
            "group": self.group,
            "choice": bool(self.group),
            "compared": self.group in (QUALITY, TIME, SIZE),
            "signed": self.group == QUALITY,
            "positive": self.group in (TIME, SIZE),
            "whole": self.group == PARAMETER,
            "tabled": self.tabled,
        }
        if self.name in INTERVALS:
            found["low"], found["high"] = INTERVALS[self.name]
        if not pd.api.types.is_numeric_dtype(values):
            found["levels"] = sorted(values.dropna().unique())
        return found


COSTS = (
    Column("decode_ms", "decode time", "ms", TIME, tabled=True),
    Column("decode_total_ms", "decode time end to end", "ms", TIME, tabled=True),
    Column("encode_ms", "encode time", "ms", TIME, tabled=True),
    Column("encode_total_ms", "encode time end to end", "ms", TIME, tabled=True),
    Column("decode_high_ms", "upper end of the decode time", "ms", TIME),
    Column("encode_high_ms", "upper end of the encode time", "ms", TIME),
    Column("kmac_per_px", "decoder compute", "kMAC/px", SIZE, tabled=True),
    Column("encoder_kmac_per_px", "encoder compute", "kMAC/px", SIZE, tabled=True),
    Column("parameters_m", "decoder parameters", "M", SIZE, tabled=True),
    Column("encoder_parameters_m", "encoder parameters", "M", SIZE),
    Column("peak_mb", "decoder peak memory", "MB", SIZE, tabled=True),
    Column("encoder_peak_mb", "encoder peak memory", "MB", SIZE),
    Column("size_mb", "decoder size on disk", "MB", SIZE, tabled=True),
    Column("encoder_size_mb", "encoder size on disk", "MB", SIZE),
)
HIDDEN = ("decode_low_ms", "encode_low_ms", "decode_distance", "expected_percent")
"""Columns that the page needs and does not offer."""


def columns_of(trials: pd.DataFrame, record: RunRecord) -> list[Column]:
    """The columns of a table of trials that the page uses, in the order in which it offers them."""
    selecting, *others = _bd_rates(record)
    offered = [selecting, *COSTS, *others]
    offered += [Column(name, name, "", PARAMETER) for name in PARAMETERS]
    offered += [Column(name, name, "", "") for name in HIDDEN]
    return [
        column for column in offered if column.name in trials and trials[column.name].notna().any()
    ]


def _bd_rates(record: RunRecord) -> list[Column]:
    """BD-rates: first by the metric that selects, then by the other metrics."""
    found = [Column(BD_RATE, f"BD-rate by {plain_label(record.metric)}", "%", QUALITY, tabled=True)]
    for metric in KNOWN:
        if metric != record.metric:
            name = bd_rate_column(metric)
            found.append(
                Column(name, f"BD-rate by {plain_label(metric)}", "%", QUALITY, tabled=True)
            )
    return found


def plain_label(metric: str) -> str:
    """Name of a metric for people, without its unit."""
    return KNOWN[metric].label.removesuffix(" (dB)").removesuffix(" (JOD)")
