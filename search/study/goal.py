"""Goals of a run: a Pareto front of several objectives, or BD-rate at one decode time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray

from search.config.schema import ConfigError, Mode, SearchConfig
from search.study.front import Range, front_of, hypervolume
from search.study.objectives import BD_RATE, costs_first

SHORTLIST = 10
"""Largest number of candidates that the search of a band returns as its best."""


@dataclass(frozen=True)
class Front:
    """The goal of minimising several objectives together."""

    title: ClassVar[str] = "Pareto front"
    noun: ClassVar[str] = "front"
    """Noun for the set of best candidates in messages."""
    measure: ClassVar[str] = "hypervolume"
    """Name of the figure that `reached` returns."""
    limits: ClassVar[str] = "the constraints"
    """Name of the limits that every candidate meets, in messages."""

    ranges: Mapping[str, Range | None]
    """The objectives in order, as columns of tables of trials, with the range of each predicted
    cost over the candidates; None for a BD-rate."""

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the objectives, all minimised."""
        return tuple(self.ranges)

    def best(self, done: pd.DataFrame) -> pd.DataFrame:
        """The non-dominated rows of the evaluated trials `done` (see `front_of`)."""
        return front_of(done, self.objectives)

    def reached(self, done: pd.DataFrame) -> float:
        """Hypervolume in [0, 1] of the evaluated trials `done`."""
        columns = costs_first(self.objectives)
        points = front_of(done, self.objectives)[columns].to_numpy(float)
        return hypervolume(points, [self.ranges[column] for column in columns])

    def standing(self, done: pd.DataFrame) -> str:
        """A phrase for messages that says what the evaluated trials `done` have reached."""
        return f"hypervolume {self.reached(done):.3f}"


@dataclass(frozen=True)
class Band:
    """The goal of minimising BD-rate at one decode time.

    Differences in decode time within the band are ignored.
    """

    objectives: ClassVar[tuple[str, ...]] = (BD_RATE,)
    noun: ClassVar[str] = "shortlist"
    measure: ClassVar[str] = "best BD-rate (%)"

    target_ms: float
    """Predicted decode time at the middle of the band, above 0."""
    tolerance: float
    """Largest relative deviation of a candidate's decode time from the target, in (0, 1)."""

    @property
    def low_ms(self) -> float:
        """Shortest decode time in the band."""
        return self.target_ms * (1 - self.tolerance)

    @property
    def high_ms(self) -> float:
        """Longest decode time in the band."""
        return self.target_ms * (1 + self.tolerance)

    @property
    def title(self) -> str:
        """Heading of the report."""
        return f"Best codecs at {self}"

    @property
    def limits(self) -> str:
        """Name of the limits that every candidate meets, in messages."""
        return f"{self} and the constraints"

    def __str__(self) -> str:
        return f"{self.target_ms:g} ms ± {100 * self.tolerance:g} %"

    def holds(self, decode_ms: pd.Series[float]) -> NDArray[np.bool_]:
        """Mask of the decode times that lie in the band, its ends included."""
        return decode_ms.between(self.low_ms, self.high_ms).to_numpy()

    def best(self, done: pd.DataFrame) -> pd.DataFrame:
        """The `SHORTLIST` evaluated trials of `done` with the lowest BD-rates, best first."""
        return done.sort_values("bd_rate_percent", kind="stable").head(SHORTLIST)

    def reached(self, done: pd.DataFrame) -> float:
        """Lowest BD-rate, in percent, of the evaluated trials `done`; NaN if there are none."""
        return float(done["bd_rate_percent"].min())

    def standing(self, done: pd.DataFrame) -> str:
        """A phrase for messages that says what the evaluated trials `done` have reached."""
        return f"best BD-rate {self.reached(done):+.2f} %" if len(done) else "no BD-rate yet"


def objective_values(
    study: optuna.Study, bd_rate_percent: float, others: Mapping[str, float]
) -> list[float]:
    """Values of the study's objectives for a trial with this BD-rate by `search.metric`.

    `others` are the trial's costs, and its BD-rates by other metrics, by column.
    """
    outcome = {BD_RATE: bd_rate_percent} | dict(others)
    return [outcome[name] for name in study.metric_names or ()]


def find_band(search: SearchConfig) -> Band | None:
    """The band to search, or None if the whole front is searched.

    Raises ConfigError if the mode, target and tolerance do not fit each other.
    """
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
            "the decode time of the candidates in milliseconds"
        )
    if not 0 < target < math.inf:
        raise ConfigError(f"search.target_ms={target:g}: expected a number of milliseconds above 0")
    if not 0 < tolerance < 1:
        raise ConfigError(
            f"search.tolerance={tolerance:g}: expected a share of search.target_ms "
            f"above 0 and below 1, such as 0.05"
        )
    return Band(target, tolerance)
