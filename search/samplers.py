"""Optuna samplers by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from search.config import Sampler

FACTORIES: dict[Sampler, Callable[[int], BaseSampler]] = {
    Sampler.tpe: lambda seed: TPESampler(seed=seed, multivariate=True, constant_liar=True),
    # Optuna's default population of 50 would be random search for most budgets here.
    Sampler.nsga2: lambda seed: NSGAIISampler(seed=seed, population_size=16),
    Sampler.gp: lambda seed: GPSampler(seed=seed),
    Sampler.random: lambda seed: RandomSampler(seed=seed),
}


def make_sampler(name: Sampler, seed: int) -> BaseSampler:
    """A sampler that draws by `seed`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return FACTORIES[name](seed)
