"""Rankings of the architectures of `fidelity.parquet`, and how far two of them agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap, kendalltau, spearmanr

from search.metrics.rate_distortion import CurveError, bd_rate_percent

TABLE = Path(__file__).with_name("fidelity.parquet")
COVERAGE = 0.90
RESAMPLES = 1000
BAND = 0.05
"""Largest relative difference between decode times that count as equal."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Scores by architecture, the lower the better, and CPU seconds of training for each."""

    scores: pd.Series
    cpu_s: float = 0.0


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


def curve(row: Mapping[str, Any] | pd.Series, metric: str) -> dict[str, list[float]]:
    """Rate and one metric of a row of the table."""
    return {name: list(row[name]) for name in ("bpp", metric)}


def with_interval(
    statistic: Callable[..., float], *series: pd.Series
) -> tuple[float, float, float]:
    """A statistic of rankings and its bootstrap interval over the architectures of all."""
    both = pd.concat(series, axis=1, join="inner").dropna().to_numpy().T
    resampled = bootstrap(
        both,
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).bootstrap_distribution
    # A resample of equal values has no rank correlation.
    low, high = np.nanquantile(resampled, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return statistic(*both), float(low), float(high)


def tau(a: Vector, b: Vector) -> float:
    """Kendall's tau-b."""
    return float(kendalltau(a, b).statistic)


def rho(a: Vector, b: Vector) -> float:
    """Spearman's rank correlation."""
    return float(spearmanr(a, b).statistic)


def in_bands(a: Vector, b: Vector, decode_ms: Vector) -> float:
    """Concordant minus discordant, of the pairs within BAND of each other's decode time."""
    first, second = np.triu_indices(len(a), 1)
    ratio = np.abs(np.log(decode_ms[first] / decode_ms[second]))
    # An architecture that a resample has twice is no pair.
    near = (ratio < BAND) & (ratio > 0)
    signs = [np.sign(scores[first] - scores[second])[near] for scores in (a, b)]
    return float((signs[0] * signs[1]).mean())


def written(value: tuple[float, float, float]) -> str:
    """A statistic and its interval, as `0.81 (0.72 to 0.88)`."""
    return f"{value[0]:.2f} ({value[1]:.2f} to {value[2]:.2f})"
