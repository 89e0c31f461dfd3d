"""Partial dependence of the BD-rate on each searched parameter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search.report.analysis.parameters import (
    MOST_TRIALS,
    distributions_of,
    evenly_spread,
    searched_parameters,
    values_of,
    without_empty_chains,
)
from search.sampler.encoding import Encoding, FactorizedTable
from search.sampler.grey_box import START
from search.sampler.surrogate import Surrogate
from search.study.objectives import BD_RATE
from search.study.samplers import stages_of
from space.search_space import Value

MOST_AVERAGED = 200
"""Largest number of evaluated architectures over which the surrogate's forecasts are averaged."""


@dataclass(frozen=True)
class Dependence:
    """Partial dependence on one parameter. Each list has an entry per value of the parameter."""

    values: list[Value]
    """The values that were evaluated, in rising order or in the order of `CHOICES`."""
    mean_percent: list[float]
    """Forecast BD-rate in percent, averaged over architectures that differ in all else."""
    std_percent: list[float]
    """Mean standard deviation of these forecasts, without noise.

    The standard deviation of the average itself is at most as large.
    """


def partial_dependence(done: pd.DataFrame) -> dict[str, Dependence]:
    """Partial dependence of the BD-rate on each searched parameter of the evaluated trials `done`.

    The search's surrogate is fitted to the trials. For each value of a parameter, it forecasts at
    most MOST_AVERAGED of the architectures with the parameter set to this value, and the forecasts
    are averaged. Architectures without blocks in a chain (R = 0) stay in the averages of the
    chain's E and F, though neither affects them. At most MOST_TRIALS trials are used, evenly spread
    over the run. The result is empty for fewer than START trials, as many as a search starts with.
    """
    if len(done) < START:
        return {}
    fitted = evenly_spread(done, MOST_TRIALS)
    points = searched_parameters(fitted)
    values = values_of(points)
    averaged = evenly_spread(points, MOST_AVERAGED)
    changed = [
        without_empty_chains(averaged.assign(**{name: value}), values)
        for name, choices in values.items()
        for value in choices
    ]
    mean, std = _forecasts(points, fitted[BD_RATE].to_numpy(float), pd.concat(changed))
    means, stds = (each.reshape(len(changed), -1).mean(axis=1).tolist() for each in (mean, std))
    found, start = {}, 0
    for name, choices in values.items():
        cases = slice(start, start + len(choices))
        found[name] = Dependence(choices, means[cases], stds[cases])
        start = cases.stop
    return found


def _forecasts(
    points: pd.DataFrame, bd_rates: NDArray[np.float64], others: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and standard deviations of the BD-rates of `others`, given those of `points`."""
    table = pd.concat([points, others], ignore_index=True)
    distributions = distributions_of(points)
    encoding = Encoding(FactorizedTable(table), distributions, stages_of(distributions))
    surrogate = Surrogate(encoding)
    surrogate.fit(np.arange(len(points)), bd_rates, search=True)
    return surrogate.posterior(np.arange(len(points), len(table)))
