"""What the search itself takes per trial, beside evaluations and the sampler.

    python benchmarks/overhead.py [TRIALS] [WORKERS]

A run of `pico_large` whose evaluations do nothing: Ray workers return the same score at once, and
everything else is as in `python -m search run`: the study's journal, tables and hypervolume for the
display, samples. Candidates are drawn at random, which takes no time. Prints milliseconds per
trial, by the hundred and on average.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import ray
import torch
import yaml
from rich.console import Console

from search.config.schema import CONFIGS, Config, RunConfig, Sampler, SearchConfig
from search.evaluation.scores import Evaluator
from search.evaluation.sources import Trained
from search.evaluation.workers import RayEvaluator, Stage, start_ray
from search.study.run import run
from search.training.proxy import Score
from space.architecture import Architecture

CURVE = [0.1, 0.2, 0.4, 0.8]
WARM_UP = 20
QUALITY = [30.0, 50.0, 70.0, 90.0]


@ray.remote(num_returns=2)
def _nothing(architecture: Architecture, steps: int) -> tuple[Score, None]:
    # Of a later number, a better codec, so that there is a front.
    gain = int(architecture.id[:4], 16) / 2**16
    curve = {"bpp": CURVE, "ssimulacra2": [value + gain for value in QUALITY]}
    return Score(steps, curve, 0.0, 0.0, torch.zeros(3, 256, 256)), None


class Nothing(RayEvaluator):
    """Evaluations of no work."""

    def submit(self, architecture: Architecture) -> Stage:
        """A score that is there as soon as a worker answers."""
        return Stage(0, *_nothing.remote(architecture, self.config.steps))


@contextmanager
def evaluator(trained: Trained) -> Iterator[tuple[Evaluator, int]]:
    """Replaces `Trained.evaluator`."""
    config = trained.config
    slots = start_ray(None, config.search.workers)
    try:
        yield Nothing((), config.proxy, config.search.metric, config.run.seed, 0), slots
    finally:
        ray.shutdown()


def main() -> None:
    trials, workers = (int(word) for word in (*sys.argv[1:], "1000", "2")[:2])
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            space=yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text()),
            run=RunConfig(root=folder),
            sampler=Sampler.random,
            search=SearchConfig(trials=trials, workers=workers),
        )
        with patch.object(Trained, "evaluator", evaluator):
            run(config, Console(quiet=True))
        frame = pd.read_parquet(Path(folder) / "pico_large" / "trials.parquet")
    # The first waits for Ray's workers to start.
    ended = frame["finished"].sort_values().iloc[WARM_UP:]
    each_ms = ended.diff().dt.total_seconds().dropna() * 1000
    print(f"{len(frame)} trials, {workers} workers: {each_ms.mean():.1f} ms per trial")
    print(
        "by the hundred:",
        *(f"{each_ms.iloc[n : n + 100].mean():.1f}" for n in range(0, len(each_ms), 100)),
    )


if __name__ == "__main__":
    main()
