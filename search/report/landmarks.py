"""Landmarks beside a run's candidates: classical codecs, and PICO's published times."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latency_predictor.errors import InputWarning
from search.evaluation.scores import bd_rate_or_none
from search.metrics.rate_distortion import Curve
from search.study.objectives import BD_RATE, bd_rate_column
from search.study.records import ClassicalRecord, RecordError, ReferenceRecord

PICO_TIMES = {"decode_total_ms": 150.0, "encode_total_ms": 230.0}
"""End-to-end times in ms of PICO for 12 megapixels on an iPhone 17 Pro Max (arXiv 2605.05148)."""


def classical_curves(folder: Path) -> Mapping[str, Curve]:
    """Curves of the classical codecs by title; empty if the run in the folder lacks them.

    A broken file is left out with a warning.
    """
    if not ClassicalRecord.exists(folder):
        return {}
    try:
        return ClassicalRecord.read(folder).curves
    except RecordError as error:
        warnings.warn(f"left out: {error}", InputWarning, stacklevel=2)
        return {}


def landmarks(folder: Path, metric: str) -> dict[str, list[dict[str, Any]]]:
    """Lines to compare candidates with, by the column of the axis that they cross.

    The BD-rates of the classical codecs are against the reference. A codec has no line for a metric
    by which it has no BD-rate. `metric` is the run's `search.metric`.
    """
    pico = "PICO, iPhone 17 Pro Max"
    lines = {
        name: [{"label": f"{pico}, {ms:.0f} ms", "value": ms}] for name, ms in PICO_TIMES.items()
    }
    if not ReferenceRecord.exists(folder):
        return lines
    reference, classical = ReferenceRecord.read(folder).curve, classical_curves(folder)
    for name in (name for name in reference if name != "bpp"):
        column = BD_RATE if name == metric else bd_rate_column(name)
        lines[column] = [
            {"label": f"{title} {rate:+.0f} %".replace("-", "\u2212"), "value": rate}
            for title, curve in classical.items()
            if name in curve and (rate := bd_rate_or_none(reference, curve, name)) is not None
        ]
    return lines
