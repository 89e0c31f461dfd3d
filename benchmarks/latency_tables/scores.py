"""Scores of predicted latencies as the tables give them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latency_predictor.model.metrics import Scores, score
from latency_predictor.model.times import Estimate
from latency_predictor.profiles.measurements import Measurements

PHONES = {"a14-ane": "iPhone 12", "a15-ane": "iPhone 13, 14"}
"""Phones whose Neural Engine was measured most, by calibration."""
SCORE_HEADERS = (
    "MAPE",
    "±5 %",
    "±10 %",
    "tau",
    "90 % interval covers",
    "high / low",
    "interval score",
)
"""Column names of `score_cells`."""


def percent(fraction: float, decimals: int = 0) -> str:
    """A fraction as a percentage, such as `12 %`."""
    return f"{100 * fraction:.{decimals}f} %"


def value_of(found: Scores, name: str) -> float:
    """One of the scores, or 0 if it is undefined."""
    return float(found[name] or 0)


def score_cells(found: Scores) -> list[str]:
    """MAPE, shares within 5 and 10 %, Kendall's tau, and scores of the intervals.

    These are their coverage, the geometric mean of their upper by their lower ends, and their
    interval score on a log scale.
    """
    return [
        percent(value_of(found, "mape"), 1),
        percent(value_of(found, "within_5")),
        percent(value_of(found, "within_10")),
        "" if found["kendall_tau"] is None else f"{found['kendall_tau']:.2f}",
        percent(value_of(found, "coverage")),
        f"{np.exp(value_of(found, 'log_width')):.2f}",
        f"{value_of(found, 'interval_score'):.2f}",
    ]


def point_scores(estimate: Estimate, measurements: Measurements, rows: NDArray[np.bool_]) -> Scores:
    """Scores of the estimates of some rows, without intervals."""
    ms = estimate.ms[rows]
    return score(ms, measurements.ms[rows], ms, ms)
