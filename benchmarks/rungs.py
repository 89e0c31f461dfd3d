"""How many training steps a search needs with rungs, and without.

    python benchmarks/rungs.py [--seeds 10] [--metrics psnr ssimulacra2] [--table TABLE]

Replays searches through the search's own loop on those architectures of the table of
`benchmarks/table.py` that were trained for 50 steps, `proxy.steps=50`; with `proxy.rungs=[0]`
candidates are measured as they are inherited, and most are stopped there. Prints, over seeds, the
median (and quartiles) of the training steps, of the candidates, and of those trained to the end,
until the front has 98 % of the table's hypervolume up to the worst of both objectives; and how far
the forecasts for stopped candidates were off; the table has their true values.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import suppress
from pathlib import Path

import moocore
import numpy as np
import pandas as pd
import torch
from fidelity import DEVICE, searched
from proxy import TABLE

from latency_predictor import load_default
from search.config.schema import Sampler
from search.costs.costs import SpaceCosts
from search.evaluation.tabular import Table
from search.metrics.rate_distortion import bd_rate_percent
from search.study.journal import Journal
from search.study.loop import Search
from search.study.records import evaluated, trials_frame
from search.study.rungs import EXPECTED_PERCENT, RUNG_RATES
from search.study.study import Proposer, open_study

STEPS = 50
SHARE = 0.98


class Enough(Exception):
    """The share has been reached."""


class Problem:
    """The table's architectures by one metric, all trained to the end."""

    def __init__(self, path: Path, metric: str) -> None:
        self.space, self.metric, self.path = searched(), metric, path
        table = Table.load(path, STEPS, metric)
        self.numbers = table.numbers(self.space)
        costs = SpaceCosts(self.space, load_default(), DEVICE).of(self.numbers)
        architectures = [self.space.architecture(number) for number in self.numbers]
        self.costs = dict(zip((a.id for a in architectures), costs["decode_ms"], strict=True))
        self.anchor = table.scores[self.space.reference.id][0].curve
        self.rates = {
            a.id: bd_rate_percent(self.anchor, table.scores[a.id][0].curve, metric)
            for a in architectures
        }
        both = np.array([[self.rates[i], np.log(ms)] for i, ms in self.costs.items()])
        self.worst = both.max(axis=0)
        self.whole = moocore.hypervolume(both, ref=self.worst)

    def share(self, trials: pd.DataFrame) -> float:
        """Fraction of the hypervolume that trials of these rates and times have."""
        found = np.column_stack([trials["bd_rate_percent"], np.log(trials["decode_ms"])])
        return float(moocore.hypervolume(found, ref=self.worst) / self.whole)


def search(problem: Problem, sampler: Sampler, rungs: tuple[int, ...], seed: int) -> pd.DataFrame:
    """Trials until the share is reached, in their order."""
    table = Table.load(problem.path, STEPS, problem.metric, rungs)
    log_ms = np.log(list(problem.costs.values()))
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.of(Path(folder))
        study = open_study(journal)
        proposer = Proposer(
            study, problem.space, problem.numbers, {1: log_ms},
            lambda a: {"decode_ms": problem.costs[a.id]} if a.id in problem.costs else None,
            sampler, seed,
        )  # fmt: skip

        def look(*_: int) -> None:
            if problem.share(evaluated(trials_frame(study))) >= SHARE:
                raise Enough

        loop = Search(
            study, proposer, table, journal, problem.anchor, STEPS, problem.metric,
            on_change=look, on_score=lambda *_: None,
        )  # fmt: skip
        with suppress(Enough):
            loop.run(len(problem.numbers), slots=1)
        # Those that wait at a rung have cost what they have.
        return pd.DataFrame(
            [
                {
                    "id": trial.user_attrs["id"],
                    "steps": STEPS if trial.values else max(map(int, trial.user_attrs[RUNG_RATES])),
                    "expected_percent": trial.user_attrs.get(EXPECTED_PERCENT),
                }
                for trial in study.trials
                if trial.values or RUNG_RATES in trial.user_attrs
            ]
        )


def spread(values: list[float]) -> str:
    """Median and quartiles."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--metrics", nargs="+", default=["psnr", "ssimulacra2"])
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    for metric in arguments.metrics:
        problem = Problem(arguments.table, metric)
        for sampler in (Sampler.grey_box, Sampler.random):
            steps: dict[str, list[float]] = {}
            for name, rungs in (("without", ()), ("rungs=[0]", (0,))):
                searches = [search(problem, sampler, rungs, s) for s in range(arguments.seeds)]
                used = [float(trials["steps"].sum()) for trials in searches]
                steps[name] = used
                stopped = pd.concat(searches).dropna(subset="expected_percent")
                missed = stopped["expected_percent"] - stopped["id"].map(problem.rates)
                lines.append(
                    {
                        "metric": metric,
                        "of": len(problem.numbers),
                        "sampler": sampler.value,
                        "": name,
                        "steps": spread(used),
                        "candidates": spread([len(trials) for trials in searches]),
                        "trained": spread(
                            [(trials["steps"] == STEPS).sum() for trials in searches]
                        ),
                        "forecast off by": f"{missed.abs().median():.2f} %" if len(missed) else "",
                        "share of steps": f"{np.median(used) / np.median(steps['without']):.2f}",
                    }
                )
    print(pd.DataFrame(lines).to_markdown(index=False))


if __name__ == "__main__":
    main()
