"""What a run looks for: a front of quality and decode time, or quality at one decode time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray

from search.config import ConfigError, Mode, SearchConfig
from search.front import front_of, hypervolume

SHORTLIST = 10
"""Candidates that the search of a band offers."""


@dataclass(frozen=True)
class Front:
    """Fewer bits and less time to decode, both at once."""

    objectives: ClassVar[tuple[str, ...]] = ("bd_rate_percent", "decode_ms")
    """What a study minimises."""
    title: ClassVar[str] = "Pareto front"
    noun: ClassVar[str] = "front"
    """What the best candidates together are called."""
    measure: ClassVar[str] = "hypervolume"
    limits: ClassVar[str] = "the constraints"
    """What candidates lie within."""

    fastest_ms: float
    """Least predicted decode time of the candidates."""
    slowest_ms: float

    def best(self, done: pd.DataFrame) -> pd.DataFrame:
        """Evaluated trials that none dominates, fastest first."""
        return front_of(done)

    def reached(self, done: pd.DataFrame) -> float:
        """Hypervolume in [0, 1] of evaluated trials."""
        points = front_of(done)[["decode_ms", "bd_rate_percent"]].to_numpy(float)
        return hypervolume(points, self.fastest_ms, self.slowest_ms)

    def standing(self, done: pd.DataFrame) -> str:
        """In words, how far evaluated trials have come."""
        return f"hypervolume {self.reached(done):.3f}"


@dataclass(frozen=True)
class Band:
    """Fewer bits, at one decode time: within the band more or less time does not count."""

    objectives: ClassVar[tuple[str, ...]] = ("bd_rate_percent",)
    noun: ClassVar[str] = "shortlist"
    measure: ClassVar[str] = "best BD-rate (%)"

    target_ms: float
    """Predicted decode time, above 0."""
    tolerance: float
    """What candidates may differ from the target by, as a share of it in (0, 1)."""

    @property
    def low_ms(self) -> float:
        """Least decode time in the band."""
        return self.target_ms * (1 - self.tolerance)

    @property
    def high_ms(self) -> float:
        """Most decode time in the band."""
        return self.target_ms * (1 + self.tolerance)

    @property
    def title(self) -> str:
        """Heading of the report."""
        return f"Best codecs at {self}"

    @property
    def limits(self) -> str:
        """What candidates lie within."""
        return f"{self} and the constraints"

    def __str__(self) -> str:
        return f"{self.target_ms:g} ms ± {100 * self.tolerance:g} %"

    def holds(self, decode_ms: pd.Series[float]) -> NDArray[np.bool_]:
        """Which of the decode times lie in the band, its ends included."""
        return decode_ms.between(self.low_ms, self.high_ms).to_numpy()

    def best(self, done: pd.DataFrame) -> pd.DataFrame:
        """The `SHORTLIST` evaluated trials of least BD-rate, the best first."""
        return done.sort_values("bd_rate_percent", kind="stable").head(SHORTLIST)

    def reached(self, done: pd.DataFrame) -> float:
        """Least BD-rate in percent of evaluated trials; NaN before the first."""
        return float(done["bd_rate_percent"].min())

    def standing(self, done: pd.DataFrame) -> str:
        """In words, how far evaluated trials have come."""
        return f"best BD-rate {self.reached(done):+.2f} %" if len(done) else "no BD-rate yet"


def objective_values(
    study: optuna.Study, bd_rate_percent: float, costs: Mapping[str, float]
) -> list[float]:
    """What a trial of this BD-rate and these costs is worth to the study, an objective each."""
    outcome = {"bd_rate_percent": bd_rate_percent} | dict(costs)
    return [outcome[name] for name in study.metric_names or ()]


def find_band(search: SearchConfig) -> Band | None:
    """The band that is searched, none where the whole front is. Raises ConfigError."""
    target, tolerance = search.target_ms, search.tolerance
    if search.mode is Mode.pareto:
        if target is not None:
            raise ConfigError(
                f"search.target_ms={target:g}: expected only beside search.mode=band, "
                f"not with search.mode=pareto"
            )
        if tolerance != SearchConfig.tolerance:
            raise ConfigError(
                f"search.tolerance={tolerance:g}: expected only beside search.mode=band, "
                f"not with search.mode=pareto"
            )
        return None
    if target is None:
        raise ConfigError(
            "search.mode=band: expected search.target_ms=MS beside it, "
            "the milliseconds that candidates are to decode in"
        )
    if not 0 < target < math.inf:
        raise ConfigError(f"search.target_ms={target:g}: expected milliseconds, above 0")
    if not 0 < tolerance < 1:
        raise ConfigError(
            f"search.tolerance={tolerance:g}: expected a share of search.target_ms "
            f"above 0 and below 1, such as 0.05"
        )
    return Band(target, tolerance)
