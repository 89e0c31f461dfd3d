"""The searched parameters of a run's trials, and samples of the trials."""

from __future__ import annotations

import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution

from space.architecture import CHOICES
from space.search_space import CHAINS, PARAMETERS, Value

MOST_TRIALS = 500
"""Largest number of trials from which importances and partial dependences are computed.

If a run has more, those in `evenly_spread` are used. Both figures then take at most a few seconds.
"""


def evenly_spread(trials: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows, evenly spread over the table, including the first and the last."""
    return trials.iloc[np.unique(np.linspace(0, len(trials) - 1, most).round().astype(int))]


def searched_parameters(done: pd.DataFrame) -> pd.DataFrame:
    """The parameters that differ between the evaluated trials `done`: one column each.

    In a chain without blocks (R = 0), E and F mean nothing. They have the first value that occurs
    in chains with blocks, whatever the sampler suggested.
    """
    names = [name for name in PARAMETERS if name in done]
    found = done[names].reset_index(drop=True)
    found = without_empty_chains(found, {name: _values(found, name) for name in names})
    return found[[name for name in names if found[name].nunique() > 1]]


def without_empty_chains(points: pd.DataFrame, values: dict[str, list[Value]]) -> pd.DataFrame:
    """The table `points` of parameters, with the first of the `values` of E and F where R = 0."""
    points = points.copy()
    for chain in CHAINS:
        if f"{chain}.R" in points:
            for name in {f"{chain}.E", f"{chain}.F"} & set(points):
                points.loc[points[f"{chain}.R"] == 0, name] = values[name][0]
    return points


def values_of(points: pd.DataFrame) -> dict[str, list[Value]]:
    """Values of each parameter that occur, in rising order or in the order of `CHOICES`."""
    return {str(name): _values(points, str(name)) for name in points}


def distributions_of(points: pd.DataFrame) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each parameter over the values that occur."""
    return {name: CategoricalDistribution(values) for name, values in values_of(points).items()}


def _values(points: pd.DataFrame, name: str) -> list[Value]:
    chain, _, field = name.rpartition(".")
    column = points[name]
    if field in ("E", "F") and f"{chain}.R" in points:
        blocks = points[f"{chain}.R"] > 0
        column = column[blocks] if blocks.any() else column
    distinct = column.unique().tolist()
    return sorted(distinct, key=CHOICES[name].index) if name in CHOICES else sorted(distinct)
