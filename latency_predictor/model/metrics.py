"""Scores of predicted latencies: relative errors, ranking and coverage."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

_TAIL = 0.1
"""Share of the true latencies that 90 % intervals are meant to miss."""

Scores = dict[str, float | int | None]


def score(
    predicted_ms: NDArray[np.float64],
    ms: NDArray[np.float64],
    low_ms: NDArray[np.float64],
    high_ms: NDArray[np.float64],
) -> Scores:
    """Score predictions against the measured times `ms`. All arrays have shape [rows].

    `n` is the number of rows, and `mape` the mean of the absolute relative errors. `within_5` and
    `within_10` are the shares of rows with errors of at most 5 and 10 %, and `coverage` is the
    share of rows whose `ms` lies from `low_ms` to `high_ms`. Errors and shares are fractions.
    `log_width` is the mean of the log of `high_ms / low_ms`. `interval_score` is the mean interval
    score of log times (Gneiting and Raftery 2007, doi:10.1198/016214506000001437): the log width
    plus 20 times the log distance by which `ms` is missed. Less is better.
    `kendall_tau` compares the rankings by predicted and by measured time. A score that is undefined
    is None, such as the tau of a single row.
    """
    if len(ms) == 0:
        return {"n": 0} | dict.fromkeys(
            (
                "mape",
                "within_5",
                "within_10",
                "kendall_tau",
                "coverage",
                "log_width",
                "interval_score",
            )
        )
    error = np.abs(predicted_ms - ms) / ms
    log_width = np.log(high_ms / low_ms)
    missed = np.maximum(np.log(low_ms / ms), 0) + np.maximum(np.log(ms / high_ms), 0)
    tau = float(kendalltau(predicted_ms, ms).statistic) if len(ms) > 1 else np.nan
    return {
        "n": len(ms),
        "mape": round(float(error.mean()), 4),
        "within_5": round(float((error <= 0.05).mean()), 4),
        "within_10": round(float((error <= 0.10).mean()), 4),
        "kendall_tau": None if np.isnan(tau) else round(tau, 4),
        "coverage": round(float(((low_ms <= ms) & (ms <= high_ms)).mean()), 4),
        "log_width": round(float(log_width.mean()), 4),
        "interval_score": round(float((log_width + 2 / _TAIL * missed).mean()), 4),
    }


def score_by(
    labels: Iterable[str],
    predicted_ms: NDArray[np.float64],
    ms: NDArray[np.float64],
    low_ms: NDArray[np.float64],
    high_ms: NDArray[np.float64],
) -> dict[str, Scores]:
    """Scores of the rows with each label, by label in alphabetical order."""
    names = np.array(list(labels), dtype=str)
    arrays = (predicted_ms, ms, low_ms, high_ms)
    return {
        name: score(*(array[names == name] for array in arrays))
        for name in np.unique(names).tolist()
    }
