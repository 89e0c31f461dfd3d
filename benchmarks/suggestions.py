"""Seconds that `sampler=grey_box` takes per suggestion after 500 observations.

    OMP_NUM_THREADS=1 python benchmarks/suggestions.py

The spaces are `pico_decoder`, whose pool is the whole space, and `pico_large`, whose pool is
redrawn. Objectives are a closed form of the architecture, since their values hardly affect the
time. Prints processor seconds in Markdown: of pricing and tabulating the first pool; of a
suggestion before which hyperparameters are optimised and the pool is redrawn, as happens whenever
the number of trials has grown by a tenth; and the median and the maximum of 20 other suggestions.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pandas as pd
import torch
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import create_trial
from spaces import DEVICE, load_space

from latency_predictor import load_default
from search.config.schema import ConstraintConfig, SearchConfig
from search.costs.screening import WHOLE, Pool, Screening, drawn_numbers
from search.sampler.grey_box import GreyBoxSampler, Points
from search.study.samplers import stages_of
from space.search_space import to_architecture

OBSERVATIONS, SUGGESTIONS = 500, 20


def made_up_quality(point: Mapping[str, Any]) -> float:
    """An objective to minimise, which falls with the logarithm of every number."""
    return -sum(math.log1p(value) for value in point.values() if isinstance(value, int))


def timed(name: str) -> dict[str, Any]:
    """The line of a space in the table."""
    space = load_space(name)
    free = {key: choices for key, choices in space.parameters.items() if len(choices) > 1}
    distributions: dict[str, BaseDistribution] = {
        key: CategoricalDistribution(choices) for key, choices in free.items()
    }
    fixed = {key: choices[0] for key, choices in space.parameters.items()}
    screening = Screening(space, load_default(), DEVICE, ConstraintConfig())
    rng = np.random.default_rng(0)

    def numbers(points: Points) -> NDArray[np.int64]:
        return np.array([space.number(to_architecture(fixed | dict(p))) for p in points])

    def pool(*found: NDArray[np.int64]) -> Pool:
        chosen = drawn_numbers(space, SearchConfig().screened, rng, *found)
        return screening.pool(chosen)

    def renew(best: Points, tried: Points) -> tuple[pd.DataFrame, dict[int, NDArray[np.float64]]]:
        renewed = pool(numbers(best), numbers(tried))
        return space.points(renewed.numbers), {1: renewed.log_ms}

    started = time.process_time()
    first = pool()
    sampler = GreyBoxSampler(
        space.points(first.numbers), {1: first.log_ms}, distributions, seed=0,
        renew=None if space.size <= WHOLE else renew, stages=stages_of(distributions),
    )  # fmt: skip
    pool_s = time.process_time() - started
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    rows = rng.choice(len(first.numbers), OBSERVATIONS, replace=False)
    observed = space.points(first.numbers[rows]).to_dict("records")
    for row, log_ms in zip(observed, first.log_ms[rows], strict=True):
        point = {str(key): value for key, value in row.items()}
        values = [made_up_quality(point), log_ms]
        study.add_trial(create_trial(params=point, distributions=distributions, values=values))
    seconds = []
    for _ in range(1 + SUGGESTIONS):
        started = time.process_time()
        study.ask(distributions)
        seconds.append(time.process_time() - started)
    return {
        "space": name,
        "pool": f"{len(first.numbers):,}",
        "first pool, s": pool_s,
        "redrawn pool, s": seconds[0],
        "median, s": float(np.median(seconds[1:])),
        "worst, s": max(seconds[1:]),
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    lines = [timed(name) for name in ("pico_decoder", "pico_large")]
    print(pd.DataFrame(lines).to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    main()
