"""Construction of the samplers that the configuration can name."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from search.config.schema import Sampler
from search.sampler.grey_box import START, GreyBoxSampler, Renewal
from search.study.rungs import expected_objectives


def make_sampler(
    name: Sampler,
    pool: pd.DataFrame,
    known: Mapping[int, NDArray[np.float64]],
    distributions: Mapping[str, BaseDistribution],
    seed: int,
    renew: Renewal | None = None,
    start: int = START,
) -> BaseSampler:
    """Create the sampler with this name in the configuration.

    Optuna's samplers draw from the `distributions`. The grey-box sampler draws from the `pool`,
    which has a row per candidate and a column per parameter. `known` maps the index of each known
    objective to the values [rows] of that objective. `renew`, if given, supplies another pool. The
    grey-box sampler spreads the first `start` trials over decode time.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        match name:
            case Sampler.grey_box if distributions:
                return GreyBoxSampler(
                    pool,
                    known,
                    distributions,
                    seed=seed,
                    renew=renew,
                    start=start,
                    forecast=expected_objectives,
                    stages=stages_of(distributions),
                )
            case Sampler.tpe:
                return TPESampler(seed=seed, multivariate=True, constant_liar=True)
            case Sampler.nsga2:
                # Optuna's default population of 50 would be random search for most budgets here.
                return NSGAIISampler(seed=seed, population_size=16)
            case Sampler.gp:
                return GPSampler(seed=seed)
            # A space of a single architecture has no parameter to learn from.
            case Sampler.random | Sampler.grey_box:
                return RandomSampler(seed=seed)


def stages_of(names: Iterable[str]) -> dict[str, str]:
    """The stage of each parameter of a space.

    A chain of blocks is a stage: `decoder.16.C` belongs to `decoder.16`. Every other parameter is a
    stage of its own.
    """
    return {name: name.rpartition(".")[0] if name.count(".") == 2 else name for name in names}
