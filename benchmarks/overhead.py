"""Time that the search itself takes per trial, beside evaluations and the sampler.

    python benchmarks/overhead.py [TRIALS] [WORKERS]

Runs a search on `pico_large` whose evaluations do nothing: Ray workers return a made-up score at
once. Everything else is as in `python -m search run`: the journal of the study, tables and
hypervolume for the display, and samples. Candidates are drawn at random, which takes no time.
Prints the mean milliseconds per trial, over all trials and over each hundred.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pandas as pd
import ray
import yaml
from rich.console import Console

from search.bench.samples import Sample
from search.config.schema import CONFIGS, Config, RunConfig, Sampler, SearchConfig
from search.evaluation.scores import Evaluator
from search.evaluation.sources import Trained
from search.evaluation.workers import RayEvaluator, Stage, start_ray
from search.study.run import run
from search.training.proxy import Score
from space.architecture import Architecture

BPP, SSIMULACRA2 = [0.1, 0.2, 0.4, 0.8], [30.0, 50.0, 70.0, 90.0]
"""The made-up curve."""
SAMPLE = Sample(np.zeros((256, 256, 3), np.uint8), 8000.0, 3.0)
"""The made-up reconstruction of a sample crop."""
WARM_UP = 20
"""First trials, which wait for Ray's workers to start."""


@ray.remote(num_returns=2)
def _made_up_score(architecture: Architecture, steps: int) -> tuple[Score, None]:
    # Codecs differ, so that there is a front.
    gain = int(architecture.id[:4], 16) / 2**16
    curve = {"bpp": BPP, "ssimulacra2": [value + gain for value in SSIMULACRA2]}
    return Score(steps, curve, 0.0, 0.0, (SAMPLE, SAMPLE)), None


class IdleEvaluator(RayEvaluator):
    """Evaluates candidates without any work."""

    def submit(self, architecture: Architecture) -> Stage:
        """A stage that is ready as soon as a worker answers."""
        task = cast("Any", _made_up_score)
        score, training = task.remote(architecture, self.config.steps)
        return Stage(0, score, training)


@contextmanager
def idle_evaluator(trained: Trained) -> Iterator[tuple[Evaluator, int]]:
    """The replacement of `Trained.evaluator`."""
    config = trained.config
    slots = start_ray(None, config.search.workers)
    try:
        yield IdleEvaluator((), config.proxy, config.search.metric, config.run.seed, 0), slots
    finally:
        ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", type=int, nargs="?", default=1000)
    parser.add_argument("workers", type=int, nargs="?", default=2)
    arguments = parser.parse_args()
    workers: int = arguments.workers
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            space=yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text()),
            run=RunConfig(root=folder),
            sampler=Sampler.random,
            search=SearchConfig(trials=arguments.trials, workers=workers),
        )
        with patch.object(Trained, "evaluator", idle_evaluator):
            run(config, Console(quiet=True))
        frame = pd.read_parquet(Path(folder) / "pico_large" / "trials.parquet")
    ended = frame["finished"].sort_values().iloc[WARM_UP:]
    each_ms = ended.diff().dt.total_seconds().dropna() * 1000
    print(f"{len(frame)} trials, {workers} workers: {each_ms.mean():.1f} ms per trial")
    print(
        "by the hundred:",
        *(f"{each_ms.iloc[n : n + 100].mean():.1f}" for n in range(0, len(each_ms), 100)),
    )


if __name__ == "__main__":
    main()
