"""Parallel training of models as Ray Tune trials, one model per trial.

A trial runs in one process, or in several that Ray Train starts. An interrupted training continues
from its own checkpoint. Tune's records of the experiment are pickled Python and are never read
here; they go to a temporary folder that all nodes share.
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

from latency_predictor.interruption import held_back
from search.config.schema import ConfigError
from search.evaluation.cluster import has_gpus, ray_cluster
from search.promotion.recipe import Promotion
from search.promotion.stopping import Stopping
from search.promotion.trial import Data, Job, train_job
from search.training.checkpoint import CheckpointError
from search.training.update import TrainingDiverged
from space.tensor_file import NotFinite

FAILED = "failed"
"""Key under which a report gives the reason why a training failed."""


def train_all(
    jobs: Sequence[Job], data: Data, promotion: Promotion, console: Console
) -> dict[str, str]:
    """Train the models of all jobs to the end. Returns the reason of each failure by folder name.

    Raises ConfigError if the cluster cannot be reached or is too small.
    """
    # A signal reaches Tune through `Stopping`.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    # Failures are reported once, by the caller.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    with ray_cluster(promotion.address):
        return _train_all(jobs, data, promotion, console)


def _train_all(
    jobs: Sequence[Job], data: Data, promotion: Promotion, console: Console
) -> dict[str, str]:
    """`train_all` on the cluster that this process has joined."""
    resource = "GPU" if has_gpus() else "CPU"
    slots = int(ray.cluster_resources()[resource])
    if promotion.processes > slots:
        raise ConfigError(
            f"processes={promotion.processes}: expected at most {slots}, the number of GPUs of the "
            "cluster, or of its CPUs if it has no GPU"
        )
    several = promotion.processes > 1
    # A driver of several processes computes nothing, but Tune requires a nonzero resource.
    resources: dict[str, float] = {"memory": 1} if several else {"cpu": 1, "gpu": int(has_gpus())}
    named = {job.folder.name: job for job in jobs}
    trainable = tune.with_parameters(_driver if several else _single, jobs=named, data=data)
    stopping = Stopping([job.folder for job in jobs])
    with (
        Display(named, console) as display,
        _records(jobs[0].folder, "trials") as records,
        held_back(),
    ):
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
                callbacks=[display, stopping],
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


@contextmanager
def _records(folder: Path, name: str) -> Iterator[str]:
    """An empty folder for Ray's records, removed on exit."""
    records = folder / f".ray-{name}"
    shutil.rmtree(records, ignore_errors=True)
    try:
        yield str(records)
    finally:
        shutil.rmtree(records, ignore_errors=True)


def _reason(error: Exception) -> str:
    """Type and last line of an error, whose message may be a traceback from a worker."""
    cause = getattr(error, "cause", None) or error
    lines = [line for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[-1].strip() if lines else ''}"


def _single(config: dict[str, str], jobs: Mapping[str, Job], data: Data) -> None:
    """A trial in one process."""
    try:
        train_job(jobs[config["model"]], data, tune.report)
    except (CheckpointError, NotFinite, OSError, TrainingDiverged) as error:
        # A retry would fail in the same way, so the error is reported; Tune retries raised errors.
        tune.report({FAILED: f"{type(error).__name__}: {error}"})


def _driver(config: dict[str, str], jobs: Mapping[str, Job], data: Data) -> None:
    """A trial in several processes, which Ray Train starts and connects."""
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
                use_gpu=has_gpus(),
            ),
            run_config=RunConfig(storage_path=records, callbacks=[report]),
        ).fit()


def _member(config: dict[str, Any]) -> None:
    """One of the processes that train a model together."""
    from ray import train as ray_train

    train_job(config["job"], ray.get(config["data"]), ray_train.report)


class Display(Callback):
    """One progress bar per model."""

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
        """Tune pickles its callbacks; the saved state is never read."""
        return {}

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        """Update the bar of a model."""
        if FAILED not in result:
            self._progress.update(
                self._bars[trial.config["model"]],
                completed=result["step"],
                loss=f"loss {result['loss']:.3f}",
            )
