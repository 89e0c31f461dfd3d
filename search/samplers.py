"""Samplers by name."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from search.config import Sampler
from search.grey_box import START, GreyBoxSampler, Renewal
from search.rungs import foreseen


def make_sampler(
    name: Sampler,
    pool: pd.DataFrame,
    known: Mapping[int, NDArray[np.float64]],
    distributions: Mapping[str, BaseDistribution],
    seed: int,
    renew: Renewal | None = None,
    start: int = START,
) -> BaseSampler:
    """A sampler that draws by `seed`.

    Optuna's draw from the `distributions`, ours from the `pool`: a row of parameters per candidate
    whose objectives of these numbers are `known` [rows]; `renew` may give it another pool.
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
                    foresee=foreseen,
                    stages=stages_of(distributions),
                )
            case Sampler.tpe:
                return TPESampler(seed=seed, multivariate=True, constant_liar=True)
            case Sampler.nsga2:
                # Optuna's default population of 50 would be random search for most budgets here.
                return NSGAIISampler(seed=seed, population_size=16)
            case Sampler.gp:
                return GPSampler(seed=seed)
            # Of one architecture there is nothing to learn.
            case Sampler.random | Sampler.grey_box:
                return RandomSampler(seed=seed)


def stages_of(names: Iterable[str]) -> dict[str, str]:
    """By parameter of a space, the stage that it belongs to.

    A chain is a stage, `decoder.16` of `decoder.16.C`; every other parameter is one of its own.
    """
    return {name: name.rpartition(".")[0] if name.count(".") == 2 else name for name in names}
