"""Time and memory that a search takes per trial beside its evaluations, which do nothing.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py replay [--trials 5000] [--sampler grey_box]
    OMP_NUM_THREADS=1 python benchmarks/overhead.py ray [--trials 2000] [--workers 16]

`replay` searches a made table of `pico_large`: the BD-rate is a sum over the parameters plus noise,
since only the overhead is measured. The table has twice as many architectures as there are trials.
`ray` searches `pico_large` with Ray workers that return a made-up score at once, and with random
candidates, which take no time. Everything else is as in `python -m search run`: the journal of the
study, tables and hypervolume for the display, and samples. Both print means over windows of trials
in Markdown: milliseconds by the clock and of the driver's processor, and the growth of the driver's
memory; and whether every trial is in the run's table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pandas as pd
import ray
import torch
import yaml
from rich.console import Console
from spaces import load_space

from search.bench.samples import Sample
from search.config.schema import CONFIGS, Config, RunConfig, Sampler, SearchConfig
from search.evaluation.cluster import ray_cluster
from search.evaluation.nodes import Nodes
from search.evaluation.scores import Evaluator
from search.evaluation.sources import Trained
from search.evaluation.workers import Place, RayEvaluator, Stage
from search.study.progress import ProgressDisplay
from search.study.run import run
from search.training.proxy import Score
from space.architecture import Architecture

SPACE = "pico_large"
BPP, SSIMULACRA2 = [0.1, 0.2, 0.4, 0.8], [30.0, 50.0, 70.0, 90.0]
"""The made-up curve."""
SAMPLE = Sample(np.zeros((256, 256, 3), np.uint8), 8000.0, 3.0)
"""The made-up reconstruction of a sample crop."""
NOISE = 0.2
"""Standard deviation of the noise of a made-up score, in SSIMULACRA2."""
WARM_UP = 20
"""First trials with Ray, which wait for its workers to start."""
WINDOWS = 10
"""Number of windows of trials in the table."""


@ray.remote(max_retries=0, num_returns="streaming")
def _made_up_score(architecture: Architecture, steps: int) -> Iterator[Place | Score]:
    yield Place(ray.get_runtime_context().get_node_id(), os.getpid())
    # Codecs differ, so that there is a front.
    gain = int(architecture.id[:4], 16) / 2**16
    curve = {"bpp": BPP, "ssimulacra2": [value + gain for value in SSIMULACRA2]}
    yield Score(steps, curve, 0.0, 0.0, (SAMPLE, SAMPLE))


class IdleEvaluator(RayEvaluator):
    """Evaluates candidates without any work."""

    def _give(self, stage: Stage) -> None:
        stage.nodes = frozenset(self.nodes.ready)
        stage.results = cast("Any", _made_up_score).remote(stage.architecture, self.proxy.steps)


@contextmanager
def idle_evaluator(trained: Trained, console: Console) -> Iterator[Evaluator]:
    """The replacement of `Trained.evaluator`."""
    config = trained.config
    with ray_cluster(None, config.search.workers):
        nodes = Nodes("CPU", (), console.print)
        nodes.wait()
        yield IdleEvaluator((), config.proxy, config.search, config.run.seed, nodes)


def made_table(path: Path, count: int) -> None:
    """Write a table of `count` architectures of the space, and the reference, with made-up scores.

    The gain in SSIMULACRA2 is the sum of the logarithms of all numbers, plus noise. It is the same
    at every rate.
    """
    space, rng = load_space(SPACE), np.random.default_rng(0)
    numbers = np.append(space.sample_by_parameter(count, rng), space.number(space.reference))
    numbers = np.unique(numbers)
    points = space.points(numbers).select_dtypes("number")
    gains = np.log1p(points.to_numpy(float)).sum(axis=1) / 4
    gains += rng.normal(0, NOISE, len(numbers)) - gains.mean()
    architectures = [space.architecture(number) for number in numbers.tolist()]
    frame = pd.DataFrame({
        "id": [a.id for a in architectures],
        "architecture": [a.to_json() for a in architectures],
        "steps": Config().proxy.steps,
        "seed": 0,
        "bpp": [BPP] * len(numbers),
        "ssimulacra2": [[value + gain for value in SSIMULACRA2] for gain in gains.tolist()],
    })  # fmt: skip
    frame.to_parquet(path)


@dataclass
class Recorder:
    """Clock, processor and memory of this process, after each trial that ended."""

    lines: list[tuple[int, float, float, float]] = field(default_factory=list)

    def record(self, trials: int) -> None:
        """Add a line: number of trials, seconds by the clock, of the processor, and MB."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        self.lines.append((trials, time.perf_counter(), time.process_time(), megabytes))

    def means(self, first: int, windows: int) -> pd.DataFrame:
        """Means over `windows` windows of the trials from number `first` on."""
        frame = pd.DataFrame(self.lines, columns=["trials", "clock", "processor", "MB"])
        frame = frame.drop_duplicates("trials", keep="last")
        frame = frame[frame["trials"] >= first].set_index("trials")
        edges = np.linspace(frame.index[0], frame.index[-1], windows + 1).round().astype(int)
        at = frame.loc[frame.index[np.searchsorted(frame.index, edges)]]
        each_ms = 1000 * at[["clock", "processor"]].diff().div(np.diff(at.index, prepend=0), axis=0)
        return pd.DataFrame({
            "trials": [f"{low + 1:,} to {high:,}" for low, high in pairwise(at.index)],
            "ms per trial": each_ms["clock"].to_numpy()[1:],
            "processor, ms": each_ms["processor"].to_numpy()[1:],
            "memory, MB more": (at["MB"] - at["MB"].iloc[0]).to_numpy()[1:],
        })  # fmt: skip


def searched(config: Config) -> tuple[Recorder, pd.DataFrame]:
    """Run a search; return what was recorded, and the table of its trials."""
    recorder, update = Recorder(), ProgressDisplay.update

    def recorded(display: ProgressDisplay, running: int, waiting: int) -> None:
        update(display, running, waiting)
        recorder.record(display.done)

    with patch.object(ProgressDisplay, "update", recorded):
        folder = run(config, Console(quiet=True))
    return recorder, pd.read_parquet(folder / "trials.parquet")


def configured(root: Path, sampler: Sampler, **search: Any) -> Config:
    """The configuration of a search."""
    return Config(
        space=yaml.safe_load((CONFIGS / f"space/{SPACE}.yaml").read_text()),
        run=RunConfig(root=str(root)),
        sampler=sampler,
        search=SearchConfig(**search),
    )


def replay(root: Path, arguments: argparse.Namespace) -> pd.DataFrame:
    """Search the made table, and return means over windows of the sampler's trials."""
    table = root / "made.parquet"
    made_table(table, 2 * arguments.trials)
    config = configured(
        root, Sampler(arguments.sampler), trials=arguments.trials, tabular=str(table)
    )
    torch.set_num_threads(1)
    recorder, trials = searched(config)
    print(f"{len(trials):,} of {arguments.trials:,} trials, `{arguments.sampler}`, 1 at a time\n")
    return recorder.means(config.search.start_trials + 1, WINDOWS)


def with_ray(root: Path, arguments: argparse.Namespace) -> pd.DataFrame:
    """Search with idle workers, and return means over windows of trials."""
    config = configured(root, Sampler.random, trials=arguments.trials, workers=arguments.workers)
    with patch.object(Trained, "evaluator", idle_evaluator):
        recorder, trials = searched(config)
    distinct, failed = trials["number"].nunique(), int(trials["error"].notna().sum())
    print(f"{distinct:,} of {arguments.trials:,} trials, {failed} failed, "
          f"{arguments.workers} workers\n")  # fmt: skip
    return recorder.means(WARM_UP, WINDOWS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("replay", help="with the sampler, in a made table")
    first.add_argument("--trials", type=int, default=5000)
    first.add_argument("--sampler", choices=[s.name for s in Sampler], default="grey_box")
    first.set_defaults(measure=replay)
    second = commands.add_parser("ray", help="with Ray workers that do nothing")
    second.add_argument("--trials", type=int, default=2000)
    second.add_argument("--workers", type=int, default=16)
    second.set_defaults(measure=with_ray)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        means = arguments.measure(Path(folder), arguments)
    print(means.to_markdown(index=False, floatfmt=".1f"))


if __name__ == "__main__":
    main()
