"""Agreement of metrics with people's Elo: coefficients, order at equal rate, and BD-rates.

Every figure has a 90 % interval from resamples. A resample draws pictures with replacement for the
metrics, and a normal Elo per setting with the standard error that the published interval implies.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.stats import kendalltau, norm, pearsonr, spearmanr

from search.human_study.analysis.scale import TAILS
from search.metrics.rate_distortion import (
    RESAMPLES,
    BdRate,
    CurveError,
    bd_rate_over_photographs,
    bd_rate_percent,
)

EQUAL_RATE = 1.10
"""Two settings have equal rate if the larger mean bpp is at most this times the smaller one."""
PUBLISHED_HALF = float(norm.ppf(0.995))
"""Half the width of a published 99 % interval of Elo, in standard errors."""
ELO = "elo"

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class People:
    """The rows of elo.csv, one per setting, in one order."""

    settings: list[str]
    elo: Vector
    error: Vector
    """Standard error of `elo`."""
    bpp: Vector
    codec: list[str]
    """Encoder, with the chroma subsampling of jpegli: a rate-distortion curve."""

    @classmethod
    def of(cls, table: pd.DataFrame) -> People:
        """People's answers from the columns of elo.csv."""
        names = (ELO, "p99Low", "p99Hi", "bpp")
        elo, low, high, bpp = (table[name].to_numpy(float) for name in names)
        error = (high - low) / (2 * PUBLISHED_HALF)
        return cls(list(table["method"]), elo, error, bpp, list(table["label"]))

    def draws(self, seed: int = 0) -> Vector:
        """Elo drawn from its intervals [RESAMPLES, settings], independently for each setting."""
        return np.random.default_rng(seed).normal(self.elo, self.error, (RESAMPLES, len(self.elo)))

    def curve(self, codec: str) -> list[int]:
        """Places of a codec's settings, in rising order of rate."""
        places = [place for place, name in enumerate(self.codec) if name == codec]
        return sorted(places, key=lambda place: self.bpp[place])

    def codec_pairs(self) -> Iterator[tuple[str, str]]:
        """Each pair of codecs, the anchor first."""
        order = ["libjpeg-turbo", "mozjpeg", "jpegli-420", "jpegli"]
        return itertools.combinations(order, 2)

    @cached_property
    def equal_rate_pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Places of the first and second settings of pairs of two codecs at equal rate."""
        pairs = [
            (i, j)
            for i, j in itertools.combinations(range(len(self.bpp)), 2)
            if self.codec[i] != self.codec[j]
            and abs(np.log(self.bpp[i] / self.bpp[j])) <= np.log(EQUAL_RATE)
        ]
        first, second = np.array(pairs).T
        return first, second

    def clear(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether the published intervals of the two settings do not overlap."""
        gap = np.abs(self.elo[first] - self.elo[second])
        return gap > PUBLISHED_HALF * (self.error[first] + self.error[second])


def picture_draws(pictures: int, seed: int = 1) -> NDArray[np.intp]:
    """Drawn pictures [RESAMPLES, pictures]."""
    return np.random.default_rng(seed).integers(pictures, size=(RESAMPLES, pictures))


def coefficients(people: People, elo: Vector, quality: Vector) -> dict[str, float]:
    """Agreement of one quality per setting with one Elo per setting."""
    return {
        "spearman": float(spearmanr(quality, elo).statistic),
        "kendall": float(kendalltau(quality, elo).statistic),
        "pearson": pearson_after_logistic(quality, elo),
        "equal_rate": ordered_alike(people, elo, quality, clear=False),
        "equal_rate_clear": ordered_alike(people, elo, quality, clear=True),
    }


def ordered_alike(people: People, elo: Vector, quality: Vector, clear: bool) -> float:
    """Share of the pairs at equal rate that quality and Elo order alike.

    If `clear`, only pairs are counted whose published intervals of Elo do not overlap.
    """
    first, second = people.equal_rate_pairs
    if clear:
        kept = people.clear(first, second)
        first, second = first[kept], second[kept]
    alike = np.sign(elo[first] - elo[second]) == np.sign(quality[first] - quality[second])
    return float(alike.mean())


def pearson_after_logistic(quality: Vector, elo: Vector) -> float:
    """Pearson's correlation after a logistic of four parameters was fitted from quality to Elo.

    It is that of a straight line where the fit does not converge.
    """
    z = (quality - quality.mean()) / quality.std()
    start = (elo.min() - 300, elo.max() + 300, 0.0, 1.5)
    with warnings.catch_warnings(), suppress(RuntimeError):
        warnings.simplefilter("ignore")
        fitted, _ = curve_fit(logistic, z, elo, start, maxfev=300, ftol=1e-4)
        return float(pearsonr(logistic(z, *fitted), elo).statistic)
    return float(pearsonr(z, elo).statistic)


def logistic(z: Vector, low: float, high: float, middle: float, width: float) -> Vector:
    """A logistic from `low` to `high`."""
    return low + (high - low) / (1 + np.exp(-(z - middle) / width))


class Interval(NamedTuple):
    """A figure with its 90 % interval."""

    value: float
    low: float
    high: float


def with_intervals(people: People, quality: Vector) -> dict[str, Interval]:
    """Coefficients of a metric's agreement with Elo, from its quality [pictures, settings]."""
    value = coefficients(people, people.elo, quality.mean(axis=0))
    drawn = [
        coefficients(people, elo, quality[chosen].mean(axis=0))
        for elo, chosen in zip(people.draws(), picture_draws(len(quality)), strict=True)
    ]
    return {name: _interval(drawn, name, value[name]) for name in value}


def elo_against_itself(people: People) -> dict[str, Interval]:
    """Agreement of draws of Elo with the published Elo, and its median: the ceiling of a metric."""
    drawn = [coefficients(people, elo, people.elo) for elo in people.draws()]
    medians = {name: float(np.median([row[name] for row in drawn])) for name in drawn[0]}
    return {name: _interval(drawn, name, median) for name, median in medians.items()}


def _interval(drawn: Sequence[Mapping[str, float]], name: str, value: float) -> Interval:
    low, high = np.quantile([row[name] for row in drawn], TAILS)
    return Interval(value, float(low), float(high))


def elo_bd_rate_percent(people: People, elo: Vector, anchor: str, test: str) -> float:
    """BD-rate between two codecs by one Elo per setting, over the published mean rates."""
    reference, candidate = (
        {"bpp": people.bpp[places].tolist(), ELO: elo[places].tolist()}
        for places in (people.curve(anchor), people.curve(test))
    )
    return bd_rate_percent(reference, candidate, ELO)


def bd_rate_by_elo(people: People, anchor: str, test: str) -> BdRate:
    """BD-rate between two codecs by Elo, with its interval over the draws of Elo that rise."""
    drawn = []
    for elo in people.draws():
        with suppress(CurveError):
            drawn.append(elo_bd_rate_percent(people, elo, anchor, test))
    low, high = np.quantile(drawn, TAILS)
    percent = elo_bd_rate_percent(people, people.elo, anchor, test)
    return BdRate(percent, float(low), float(high))


def bd_rate_by_metric(
    people: People, bpp: Vector, quality: Vector, anchor: str, test: str
) -> BdRate | None:
    """BD-rate between two codecs by a metric, from bpp and quality [pictures, settings].

    None if the curves have no BD-rate.
    """
    reference, candidate = (
        {"bpp": bpp[:, places], "quality": quality[:, places]}
        for places in (people.curve(anchor), people.curve(test))
    )
    with suppress(CurveError):
        return bd_rate_over_photographs(reference, candidate, "quality")
    return None
