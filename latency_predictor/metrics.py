"""How good predictions are: errors, ranking, coverage."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

Score = dict[str, float | int | None]


def score(
    predicted_ms: NDArray[np.float64],
    ms: NDArray[np.float64],
    low_ms: NDArray[np.float64],
    high_ms: NDArray[np.float64],
) -> Score:
    """`n`, `mape`, `within_5`, `within_10` (fractions), `kendall_tau`, `coverage`.

    What is undefined, as the ranking of fewer than two rows, is None.
    """
    if len(ms) == 0:
        return {"n": 0} | dict.fromkeys(
            ("mape", "within_5", "within_10", "kendall_tau", "coverage")
        )
    error = np.abs(predicted_ms - ms) / ms
    tau = float(kendalltau(predicted_ms, ms).statistic) if len(ms) > 1 else np.nan
    return {
        "n": len(ms),
        "mape": round(float(error.mean()), 4),
        "within_5": round(float((error <= 0.05).mean()), 4),
        "within_10": round(float((error <= 0.10).mean()), 4),
        "kendall_tau": None if np.isnan(tau) else round(tau, 4),
        "coverage": round(float(((low_ms <= ms) & (ms <= high_ms)).mean()), 4),
    }


def score_by(
    labels: Iterable[str],
    predicted_ms: NDArray[np.float64],
    ms: NDArray[np.float64],
    low_ms: NDArray[np.float64],
    high_ms: NDArray[np.float64],
) -> dict[str, Score]:
    """A score per distinct label, in alphabetical order."""
    names = np.array(list(labels), dtype=str)
    arrays = (predicted_ms, ms, low_ms, high_ms)
    return {
        name: score(*(array[names == name] for array in arrays))
        for name in np.unique(names).tolist()
    }
