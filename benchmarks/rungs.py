"""Number of training steps that a search needs with rungs and without.

    python benchmarks/rungs.py [--seeds 10] [--metrics psnr ssimulacra2] [--table TABLE]

Replays searches through the search's own loop, with `proxy.steps=50`, on the architectures that
`benchmarks/table.py` trained for 50 steps. With `proxy.rungs=[0]`, candidates are measured as they
are inherited, and most are stopped there. A search ends when its front has 98 % of the table's
hypervolume up to the worst of both objectives. Prints the median (and quartiles) over seeds of the
training steps, of the candidates, and of those trained to the end; and the errors of the forecasts
for stopped candidates, whose true values are in the table.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import moocore
import numpy as np
import pandas as pd
import torch
from proxy import TABLE
from spaces import DEVICE, tabulated_space

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
"""Share of the table's hypervolume at which a search ends."""


class ShareReached(Exception):
    """The front has SHARE of the table's hypervolume."""


class Problem:
    """The table's architectures by one metric, all trained to the end."""

    def __init__(self, path: Path, metric: str) -> None:
        self.space, self.metric, self.path = tabulated_space(), metric, path
        table = Table.load(path, STEPS, [metric])
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


def replay(problem: Problem, sampler: Sampler, rungs: tuple[int, ...], seed: int) -> pd.DataFrame:
    """Trials in order until SHARE is reached, with their training steps."""
    table = Table.load(problem.path, STEPS, [problem.metric], rungs)
    log_ms = np.log(list(problem.costs.values()))
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.of(Path(folder))
        study = open_study(journal)
        proposer = Proposer(
            study, problem.space, problem.numbers, {1: log_ms},
            lambda a: {"decode_ms": problem.costs[a.id]} if a.id in problem.costs else None,
            sampler, seed,
        )  # fmt: skip

        def stop_at_share(*_: int) -> None:
            if problem.share(evaluated(trials_frame(study, problem.metric))) >= SHARE:
                raise ShareReached

        loop = Search(
            study, proposer, table, journal, problem.anchor, STEPS, rungs, problem.metric,
            on_change=stop_at_share, on_score=lambda *_: None,
        )  # fmt: skip
        with suppress(ShareReached):
            loop.run(len(problem.numbers))
        # Candidates that wait at a rung have used the steps up to it.
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
    """Median and quartiles, as `12 (10 to 15)`."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--metrics", nargs="+", default=["psnr", "ssimulacra2"])
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines: list[dict[str, object]] = []
    for metric in arguments.metrics:
        problem = Problem(arguments.table, metric)
        for sampler in (Sampler.grey_box, Sampler.random):
            lines += compared(problem, sampler, range(arguments.seeds))
    print(pd.DataFrame(lines).to_markdown(index=False))


def compared(problem: Problem, sampler: Sampler, seeds: range) -> Iterator[dict[str, object]]:
    """A line of the table for searches without rungs, and one for searches with a rung."""
    without = np.nan
    for name, rungs in (("without", ()), ("rungs=[0]", (0,))):
        searches = [replay(problem, sampler, rungs, seed) for seed in seeds]
        steps = [float(trials["steps"].sum()) for trials in searches]
        stopped = pd.concat(searches).dropna(subset="expected_percent")
        missed = stopped["expected_percent"] - stopped["id"].map(problem.rates)
        if not rungs:
            without = float(np.median(steps))
        yield {
            "metric": problem.metric,
            "of": len(problem.numbers),
            "sampler": sampler.value,
            "": name,
            "steps": spread(steps),
            "candidates": spread([len(trials) for trials in searches]),
            "trained": spread([(trials["steps"] == STEPS).sum() for trials in searches]),
            "forecast off by": f"{missed.abs().median():.2f} %" if len(missed) else "",
            "share of steps": f"{np.median(steps) / without:.2f}",
        }


if __name__ == "__main__":
    main()
