"""Calibration of the search's surrogate: its forecasts against measured BD-rates."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from scipy.stats import norm

from search.study.objectives import BD_RATE

PREDICTED, PREDICTED_STD = "predicted_bd_rate_percent", "predicted_bd_rate_std_percent"
"""Columns with the forecast of a trial's BD-rate, made before the trial was evaluated."""
CONFIDENCE = 0.9
"""Share of the measured BD-rates that should lie in the intervals."""
HALF_WIDTH = float(norm.ppf((1 + CONFIDENCE) / 2))
"""Half the width of an interval, in standard deviations."""


@dataclass(frozen=True)
class Calibration:
    """Forecasts of BD-rates and what was measured. Each list has an entry per forecast."""

    ids: list[str]
    """Ids of the architectures, in order of their trials."""
    predicted_percent: list[float]
    """Forecast mean of the BD-rate, in percent."""
    std_percent: list[float]
    """Forecast standard deviation of the BD-rate."""
    measured_percent: list[float]
    """The BD-rate that was then measured."""
    coverage: float
    """Share in [0, 1] of the measured BD-rates that lie in the forecast's 90 % interval."""
    mean_absolute_error_percent: float
    """Mean magnitude of measured less forecast BD-rate, in percent of bits."""


def surrogate_calibration(done: pd.DataFrame) -> Calibration | None:
    """Compare the forecasts of the evaluated trials `done` with their BD-rates.

    Returns None if no trial has a forecast: the sampler makes none, all trials belong to the start
    of the search, or the run is of an earlier version.
    """
    if PREDICTED not in done:
        return None
    known = done[done[PREDICTED].notna()]
    if known.empty:
        return None
    error = (known[BD_RATE] - known[PREDICTED]).abs()
    return Calibration(
        ids=known["id"].tolist(),
        predicted_percent=known[PREDICTED].tolist(),
        std_percent=known[PREDICTED_STD].tolist(),
        measured_percent=known[BD_RATE].tolist(),
        coverage=float((error <= HALF_WIDTH * known[PREDICTED_STD]).mean()),
        mean_absolute_error_percent=float(error.mean()),
    )
