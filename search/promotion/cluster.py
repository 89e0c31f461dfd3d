"""Models trained side by side: Ray Tune trials, each in one process or in several of Ray Train.

What survives a kill are the trainings' own checkpoints. Tune's records of the experiment are
pickled Python, which nothing here reads; they go to a folder that all nodes share and is dropped.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from search.checkpoint import CheckpointError
from search.config import ConfigError
from search.optimisation import ProxyError
from search.promotion.recipe import Promotion
from search.promotion.trial import Data, Job, train
from search.workers import start_ray

FAILED = "failed"
"""Key of a report that says why a training ended early."""


def train_all(
    jobs: Sequence[Job], data: Data, promotion: Promotion, console: Console
) -> dict[str, str]:
    """Train all jobs to their ends; why those that did not come there failed, by folder's name.

    Raises ConfigError for a cluster that is not there or too small.
    """
    # Ctrl-C ends at once: checkpoints are the trainings' own.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    # What failed is said once, in a line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    slots = _joined(promotion.address)
    if promotion.processes > slots:
        raise ConfigError(
            f"processes={promotion.processes}: expected at most {slots}, as many as the cluster "
            "has GPUs, or CPUs where it has none"
        )
    gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
    several = promotion.processes > 1
    # A driver of several processes computes nothing itself, but Tune wants it to ask for something.
    resources: dict[str, float] = {"memory": 1} if several else {"cpu": 1, "gpu": gpus}
    named = {job.folder.name: job for job in jobs}
    trainable = tune.with_parameters(_driver if several else _alone, jobs=named, data=data)
    with Display(named, console) as display, _records(jobs[0].folder, "trials") as records:
        results = tune.Tuner(
            tune.with_resources(trainable, resources),
            param_space={"model": tune.grid_search(list(named))},
            tune_config=tune.TuneConfig(
                max_concurrent_trials=promotion.at_once or max(1, slots // promotion.processes)
            ),
            run_config=tune.RunConfig(
                name="promotion",
                storage_path=records,
                failure_config=tune.FailureConfig(max_failures=promotion.retries),
                callbacks=[display],
                verbose=0,
            ),
        ).fit()
    failed = {}
    for result in map(results.__getitem__, range(len(results))):
        config, metrics = result.config or {}, result.metrics or {}
        if result.error:
            failed[config["model"]] = _reason(result.error)
        elif FAILED in metrics:
            failed[config["model"]] = metrics[FAILED]
    return failed


def _joined(address: str | None) -> int:
    """Trainings of one process that the cluster runs at a time. Raises ConfigError."""
    try:
        return start_ray(address, None)
    except (ConnectionError, ValueError) as error:
        raise ConfigError(f"address={address}: {str(error).splitlines()[0]}") from error


@contextmanager
def _records(folder: Path, name: str) -> Iterator[str]:
    """A folder for what Ray writes down of trials, empty, and gone afterwards."""
    records = folder / f".ray-{name}"
    shutil.rmtree(records, ignore_errors=True)
    try:
        yield str(records)
    finally:
        shutil.rmtree(records, ignore_errors=True)


def _reason(error: Exception) -> str:
    """The last line of what may be a traceback from a worker."""
    cause = getattr(error, "cause", None) or error
    lines = [line for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[-1].strip() if lines else ''}"


def _alone(config: dict[str, str], jobs: Mapping[str, Job], data: Data) -> None:
    """A trial of one process."""
    try:
        train(jobs[config["model"]], data, tune.report)
    except (CheckpointError, OSError, ProxyError) as error:
        # Another try would fail alike; Tune retries what is raised.
        tune.report({FAILED: f"{type(error).__name__}: {error}"})


def _driver(config: dict[str, str], jobs: Mapping[str, Job], data: Data) -> None:
    """A trial of several processes, which Ray Train starts and joins."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    job = jobs[config["model"]]
    report: Any = TuneReportCallback()
    with _records(job.folder, "processes") as records:
        TorchTrainer(
            _member,
            train_loop_config={"job": job, "data": ray.put(data)},
            scaling_config=ScalingConfig(
                num_workers=job.processes,
                use_gpu=bool(ray.cluster_resources().get("GPU", 0)),
            ),
            run_config=RunConfig(storage_path=records, callbacks=[report]),
        ).fit()


def _member(config: dict[str, Any]) -> None:
    """One of the processes that train a model together."""
    from ray import train as ray_train

    train(config["job"], ray.get(config["data"]), ray_train.report)


class Display(Callback):
    """A bar per model."""

    def __init__(self, jobs: Mapping[str, Job], console: Console) -> None:
        columns = (*Progress.get_default_columns()[:-1], TextColumn("{task.fields[loss]}"))
        self._progress = Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console
        )
        self._bars: Mapping[str, TaskID] = {
            name: self._progress.add_task(name, total=job.recipe.steps, loss="")
            for name, job in jobs.items()
        }

    def __getstate__(self) -> dict[str, Any]:
        """Tune keeps what it was given, which nothing reads."""
        return {}

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        """Move a model's bar."""
        if FAILED not in result:
            self._progress.update(
                self._bars[trial.config["model"]],
                completed=result["step"],
                loss=f"loss {result['loss']:.3f}",
            )
