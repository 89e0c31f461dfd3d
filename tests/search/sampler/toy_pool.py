"""A pool of candidates in closed form, and studies of it."""

import itertools
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution, IntDistribution

from search.sampler.grey_box import GreyBoxSampler

WIDTHS, DEPTHS, KINDS = range(16, 129, 16), range(6), ("plain", "gated", "wide")
POOL = pd.DataFrame(
    list(itertools.product(WIDTHS, DEPTHS, KINDS)), columns=["width", "depth", "kind"]
)
SPACE = {
    "width": IntDistribution(16, 128, step=16),
    "depth": IntDistribution(0, 5),
    "kind": CategoricalDistribution(KINDS),
}


def milliseconds(point: Any) -> Any:
    return point["width"] * (1 + point["depth"]) / 50 + 1


def error(point: Any) -> float:
    gain = np.log(point["width"]) + 0.5 * np.sqrt(point["depth"])
    return float(10 - gain - 0.4 * (point["kind"] == "gated"))


def study(seed: int = 0, **options: Any) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = GreyBoxSampler(POOL, {1: milliseconds(POOL)}, SPACE, seed=seed, **options)
    return optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)


def run(of: optuna.Study, trials: int) -> list[tuple[Any, ...]]:
    asked = []
    for _ in range(trials):
        trial = of.ask(SPACE)
        of.tell(trial, [error(trial.params), float(milliseconds(trial.params))])
        asked.append(tuple(trial.params.values()))
    return asked
