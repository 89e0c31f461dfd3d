"""Seconds that `sampler=grey_box` takes per suggestion once it has been told 500 values.

    OMP_NUM_THREADS=1 python benchmarks/suggestions.py

Of one processor, for `pico_decoder`, whose pool is the whole space, and for `pico_large`, whose
pool is renewed. The values are a closed form of the architecture: what they are matters little.
Prints how long a first pool takes to price and to tabulate; a suggestion before which weights are
searched anew and the pool renewed, as is done once in a tenth more trials; and the median and the
worst of 20 others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pandas as pd
import torch
import yaml
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial

from latency_predictor import load_default
from search.config.schema import CONFIGS, ConstraintConfig, SearchConfig
from search.costs.screening import WHOLE, Pool, Screening, drawn
from search.sampler.grey_box import GreyBoxSampler, Points
from search.study.samplers import stages_of
from space.search_space import SearchSpace, to_architecture

DEVICE = "iphone13"
TOLD, ASKED = 500, 20


def quality(point: Mapping[str, Any]) -> float:
    """Synthetic quality, lower is better: it falls with the logarithm of each parameter."""
    return -sum(math.log1p(value) for value in point.values() if isinstance(value, int))


def timed(name: str) -> dict[str, Any]:
    """A line of the table."""
    space = SearchSpace.from_config(yaml.safe_load((CONFIGS / f"space/{name}.yaml").read_text()))
    free = {key: choices for key, choices in space.parameters.items() if len(choices) > 1}
    distributions = {key: CategoricalDistribution(choices) for key, choices in free.items()}
    fixed = {key: choices[0] for key, choices in space.parameters.items()}
    screening = Screening(space, load_default(), DEVICE, ConstraintConfig())
    rng = np.random.default_rng(0)

    def numbers(points: Points) -> np.ndarray:
        return np.array([space.number(to_architecture(fixed | dict(p))) for p in points])

    def pool(*found: np.ndarray) -> Pool:
        chosen = drawn(space, SearchConfig().screened, rng, *found)
        return screening.pool(chosen)

    def renew(best: Points, tried: Points) -> tuple[pd.DataFrame, dict[int, np.ndarray]]:
        renewed = pool(numbers(best), numbers(tried))
        return space.points(renewed.numbers), {1: renewed.log_ms}

    started = time.process_time()
    first = pool()
    sampler = GreyBoxSampler(
        space.points(first.numbers), {1: first.log_ms}, distributions, seed=0,
        renew=None if space.size <= WHOLE else renew, stages=stages_of(distributions),
    )  # fmt: skip
    made_s = time.process_time() - started
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    rows = rng.choice(len(first.numbers), TOLD, replace=False)
    told = space.points(first.numbers[rows]).to_dict("records")
    for point, known in zip(told, first.log_ms[rows], strict=True):
        values = [quality(point), known]
        study.add_trial(create_trial(params=point, distributions=distributions, values=values))
    seconds = []
    for _ in range(1 + ASKED):
        started = time.process_time()
        point = study.ask(distributions).params
        seconds.append(time.process_time() - started)
    return {
        "space": name,
        "pool": f"{len(first.numbers):,}",
        "pool made, s": made_s,
        "renewed, s": seconds[0],
        "median, s": float(np.median(seconds[1:])),
        "worst, s": max(seconds[1:]),
    }


def main() -> None:
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    lines = [timed(name) for name in ("pico_decoder", "pico_large")]
    print(pd.DataFrame(lines).to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    main()
