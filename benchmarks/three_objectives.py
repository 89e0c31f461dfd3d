"""Hypervolume that samplers reach when a search has three objectives.

    OMP_NUM_THREADS=1 nice python benchmarks/three_objectives.py [--seeds 10]

All objectives are those of the 600 architectures of `pico_small` as slices of the shipped supernet
(`inherited.parquet`). The first two are the BD-rate by SSIMULACRA2 and the predicted decode time.
The third is the decoder's predicted size on disk, or the BD-rate by PSNR. The grey-box sampler
knows the times and sizes and learns the BD-rates. As in `samplers.py`, every sampler makes 200
suggestions in a plain Optuna study, and a repeated candidate counts as another evaluation. Prints
medians (and quartiles) over seeds of the fraction of the whole table's hypervolume, up to the worst
of all objectives, with times and sizes by logarithm. Takes four minutes of a core.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import moocore
import numpy as np
import optuna
import pandas as pd
import torch
from numpy.typing import NDArray
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler
from samplers import AT_EVALUATIONS, OURS, Problem, canonical, pico_small
from spaces import DEVICE, load_space

from latency_predictor import load_default
from search.costs.costs import SpaceCosts
from search.sampler.grey_box import GreyBoxSampler
from search.study.samplers import stages_of


@dataclass(frozen=True)
class ThreeObjectives:
    """A table with a third objective to minimise."""

    name: str
    pair: Problem
    third: NDArray[np.float64]
    """Values [rows] of the third objective."""
    predicted: bool
    """Whether the third objective is known for every row before any evaluation."""

    @property
    def values(self) -> NDArray[np.float64]:
        """Objectives [rows, 3]."""
        return np.column_stack([self.pair.quality, self.pair.cost, self.third])

    @property
    def known(self) -> dict[int, NDArray[np.float64]]:
        """The predicted objectives, by index."""
        return {1: self.pair.cost} | ({2: self.third} if self.predicted else {})

    def shares(self, rows: list[int]) -> list[float]:
        """Fraction of the table's hypervolume after each of `AT_EVALUATIONS` evaluations."""
        worst = self.values.max(axis=0)
        found = [moocore.hypervolume(self.values[rows[:n]], ref=worst) for n in AT_EVALUATIONS]
        return list(np.array(found) / moocore.hypervolume(self.values, ref=worst))


def problems() -> list[ThreeObjectives]:
    """The table with each of the two third objectives."""
    space, pair = load_space("pico_small"), pico_small("ssimulacra2")
    costs = SpaceCosts(space, load_default(), DEVICE).of(np.arange(space.size))
    size = np.log(costs["size_mb"].to_numpy())
    by_psnr = pico_small("psnr").quality
    return [
        ThreeObjectives("BD-rate by SSIMULACRA2, decode time and size on disk", pair, size, True),
        ThreeObjectives("BD-rates by SSIMULACRA2 and PSNR, decode time", pair, by_psnr, False),
    ]


def grey_box(problem: ThreeObjectives, seed: int) -> BaseSampler:
    """Our sampler."""
    points, distributions = problem.pair.points, problem.pair.distributions
    return GreyBoxSampler(
        points, problem.known, distributions, seed=seed, stages=stages_of(distributions)
    )


SAMPLERS: dict[str, Callable[[ThreeObjectives, int], BaseSampler]] = {
    OURS: grey_box,
    "nsga2, population 16": lambda _, seed: NSGAIISampler(seed=seed, population_size=16),
    "random": lambda _, seed: RandomSampler(seed),
}


def searched(problem: ThreeObjectives, sampler: BaseSampler) -> tuple[list[int], float]:
    """The rows that a sampler suggested, in order, and its seconds per suggestion."""
    points = problem.pair.points
    row_of = {tuple(point): row for row, point in enumerate(points.to_numpy().tolist())}
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    rows: list[int] = []
    seconds = 0.0
    while len(rows) < AT_EVALUATIONS[-1]:
        began = time.process_time()
        trial = study.ask({**problem.pair.distributions})
        seconds += time.process_time() - began
        rows.append(row_of[tuple(canonical(trial.params, problem.pair))])
        study.tell(trial, problem.values[rows[-1]].tolist())
    return rows, seconds / len(rows)


def line(problem: ThreeObjectives, sampler: str, seeds: int) -> dict[str, str]:
    """One line of the table, from searches of one sampler."""
    searches = [searched(problem, SAMPLERS[sampler](problem, seed)) for seed in range(seeds)]
    shares = np.array([problem.shares(rows) for rows, _ in searches])
    low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75], axis=0)
    return {
        "": sampler,
        **{
            f"at {count}": f"{middle[n]:.3f} ({low[n]:.3f} to {high[n]:.3f})"
            for n, count in enumerate(AT_EVALUATIONS)
        },
        "s each": f"{np.median([seconds for _, seconds in searches]):.3f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    for problem in problems():
        on_front = int(moocore.is_nondominated(problem.values).sum())
        print(f"\n## {problem.name}\n")
        print(f"{on_front} of {len(problem.values)} architectures are on the front.\n")
        lines = [line(problem, sampler, arguments.seeds) for sampler in SAMPLERS]
        print(pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True), flush=True)


if __name__ == "__main__":
    main()
