"""Rankings of the architectures of `fidelity.parquet`, and how far two of them agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap, kendalltau

from search.rate_distortion import CurveError, bd_rate_percent

TABLE = Path(__file__).with_name("fidelity.parquet")
COVERAGE = 0.90
RESAMPLES = 1000

Vector = NDArray[np.float64]


def compared(frame: pd.DataFrame) -> list[str]:
    """Protocols by which all architectures were trained."""
    trained = frame[frame["seed"] == 0].groupby("protocol", sort=False).size()
    return list(trained[trained == trained.max()].index)


def bd_rates(frame: pd.DataFrame, protocol: str, metric: str, seed: int = 0) -> pd.Series:
    """BD-rate in percent by architecture, against the reference trained by the same protocol.

    The reference is the table's first architecture and not in the result; NaN where the curves
    allow no BD-rate. The anchor of every seed is the reference of seed 0.
    """
    of_protocol = frame[frame["protocol"] == protocol].set_index("id")
    anchor = curve(of_protocol[of_protocol["seed"] == 0].loc[frame["id"].iloc[0]], metric)
    rates = {}
    for identity, row in of_protocol[of_protocol["seed"] == seed].iterrows():
        if identity == frame["id"].iloc[0]:
            continue
        try:
            rates[identity] = bd_rate_percent(anchor, curve(row, metric), metric)
        except CurveError:
            rates[identity] = np.nan
    return pd.Series(rates, dtype=float)


def curve(row: pd.Series, metric: str) -> dict[str, list[float]]:
    """Rate and one metric of a row of the table."""
    return {name: list(row[name]) for name in ("bpp", metric)}


def with_interval(
    statistic: Callable[[Vector, Vector], float], a: pd.Series, b: pd.Series
) -> tuple[float, float, float]:
    """A statistic of two rankings and its bootstrap interval over the architectures of both."""
    both = pd.concat([a, b], axis=1, join="inner").dropna().to_numpy()
    resampled = bootstrap(
        (both[:, 0], both[:, 1]),
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).bootstrap_distribution
    # A resample of equal values has no rank correlation.
    low, high = np.nanquantile(resampled, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return statistic(both[:, 0], both[:, 1]), float(low), float(high)


def tau(a: Vector, b: Vector) -> float:
    """Kendall's tau-b."""
    return float(kendalltau(a, b).statistic)


def written(value: tuple[float, float, float]) -> str:
    """A statistic and its interval, as `0.81 (0.72 to 0.88)`."""
    return f"{value[0]:.2f} ({value[1]:.2f} to {value[2]:.2f})"
