"""BD-rates of architectures, and how far two rankings of them agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap, kendalltau, spearmanr

from search.metrics.rate_distortion import Curve, CurveError, bd_rate_percent

FIDELITIES = Path(__file__).with_name("fidelity.parquet")
"""The table of `fidelity.py`."""
COVERAGE = 0.90
"""Coverage of the bootstrap intervals."""
RESAMPLES = 1000
BAND = 0.05
"""Largest relative difference of decode times within a band: a phone hardly tells them apart."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Scores by architecture, the lower the better, and CPU seconds of training for each."""

    scores: pd.Series
    cpu_s: float = 0.0


def read_fidelities(path: Path) -> pd.DataFrame:
    """A table of `fidelity.py`. The committed one calls a supernet a parent."""
    frame = pd.read_parquet(path)
    return frame.assign(protocol=frame["protocol"].str.replace("parent-", "supernet-"))


def common_protocols(frame: pd.DataFrame) -> list[str]:
    """Protocols by which all architectures were trained."""
    trained = frame[frame["seed"] == 0].groupby("protocol", sort=False).size()
    return list(trained[trained == trained.max()].index)


def curves(frame: pd.DataFrame, metric: str) -> dict[str, Curve]:
    """Rate and one metric of every row of a table, by architecture."""
    columns = (frame[name] for name in ("id", "bpp", metric))
    return {
        identity: {"bpp": list(bpp), metric: list(values)}
        for identity, bpp, values in zip(*columns, strict=True)
    }


def bd_rates(tested: Mapping[str, Curve], anchor: Curve, metric: str) -> pd.Series:
    """BD-rates in percent against one curve, by architecture; NaN where the curves allow none."""
    rates = {}
    for identity, curve in tested.items():
        try:
            rates[identity] = bd_rate_percent(anchor, curve, metric)
        except CurveError:
            rates[identity] = np.nan
    return pd.Series(rates, dtype=float)


def protocol_bd_rates(frame: pd.DataFrame, protocol: str, metric: str, seed: int = 0) -> pd.Series:
    """BD-rates by architecture, against the reference trained by the same protocol.

    The reference is the table's first architecture and is left out of the result. The anchor of
    every seed is the reference of seed 0.
    """
    reference = frame["id"].iloc[0]
    of_protocol = frame[frame["protocol"] == protocol]
    anchor = curves(of_protocol[of_protocol["seed"] == 0], metric)[reference]
    chosen = (of_protocol["seed"] == seed) & (of_protocol["id"] != reference)
    return bd_rates(curves(of_protocol[chosen], metric), anchor, metric)


def with_interval(
    statistic: Callable[..., float], *series: pd.Series
) -> tuple[float, float, float]:
    """A statistic of rankings and its bootstrap interval, over the architectures of all series."""
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


def tau_in_bands(a: Vector, b: Vector, decode_ms: Vector) -> float:
    """Kendall's tau-a over the pairs of architectures within BAND of each other's decode time."""
    first, second = np.triu_indices(len(a), 1)
    ratio = np.abs(np.log(decode_ms[first] / decode_ms[second]))
    # An architecture that a resample has twice is no pair.
    near = (ratio < BAND) & (ratio > 0)
    signs = [np.sign(scores[first] - scores[second])[near] for scores in (a, b)]
    return float((signs[0] * signs[1]).mean())


def format_interval(value: tuple[float, float, float]) -> str:
    """A statistic and its interval, as `0.81 (0.72 to 0.88)`."""
    return f"{value[0]:.2f} ({value[1]:.2f} to {value[2]:.2f})"
