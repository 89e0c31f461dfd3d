"""Evaluation of candidates on Ray."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import ray
from ray.exceptions import RayError, RayTaskError

from search.config.schema import ConfigError, ProxyConfig
from search.data.photographs import Crops, Photographs
from search.evaluation.reaching import check_address, short_folder
from search.evaluation.scores import EvaluationFailed
from search.training.proxy import ProxyTraining, Score, begin, score_training
from search.training.start import Start
from space.architecture import Architecture

RETRIES = 2
"""Number of times that Ray repeats an evaluation after its worker died."""
POLL_S = 0.5
"""Longest wait for a score, in seconds, before the search loop continues."""


def start_ray(address: str | None, workers: int | None, key: str = "address") -> int:
    """Join the Ray cluster at `address`, or start a local one if `address` is None.

    Return the number of evaluations that run at a time: one per GPU, or one per CPU if there is no
    GPU, and at most `workers`. Raises ConfigError if the cluster cannot be joined. `key` is the
    key of the configuration that holds the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        # A cluster of one machine and one user needs no token file in the home folder.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    else:
        check_address(key, address)
    try:
        ray.init(
            address=address or "local",
            num_cpus=workers if address is None else None,
            include_dashboard=None if address else False,
            _temp_dir=short_folder() if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError) as error:
        raise ConfigError(f"{key}={address}: {str(error).splitlines()[0]}") from error
    resources = ray.cluster_resources()
    slots = int(resources.get("GPU", 0)) or int(resources["CPU"])
    return min(slots, workers or slots)


@dataclass(frozen=True)
class Stage:
    """Handle of one stage of an evaluation, which ends with a score."""

    number: int
    """Number of earlier stages of the same evaluation."""
    score: Any
    """Ray reference to the score."""
    training: Any
    """Ray reference to the state of training that the next stage continues from."""


@dataclass(frozen=True)
class RayEvaluator:
    """Evaluates candidates on Ray. All evaluations use the same data in the same order."""

    data: Any
    """Ray references to the training crops, the selection crops, and what candidates start from."""
    config: ProxyConfig
    metric: str
    """The metric that is measured at rungs."""
    seed: int
    gpus: int
    """Number of GPUs of one evaluation, 0 or 1."""

    @classmethod
    def share(
        cls, photographs: Photographs, start: Start, config: ProxyConfig, metric: str, seed: int
    ) -> RayEvaluator:
        """Create an evaluator, and put the data into Ray's shared memory for all evaluations."""
        data = tuple(ray.put(x) for x in (photographs.train, photographs.select, start))
        gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
        return cls(data, config, metric, seed, gpus)

    def submit(self, architecture: Architecture) -> Stage:
        """Start the first stage of an architecture's evaluation."""
        return self._stage(0, architecture)

    def resume(self, handle: Stage) -> Stage:
        """Start the stage after the finished stage `handle` of the same evaluation."""
        return self._stage(handle.number + 1, handle.training)

    def _stage(self, number: int, begun: Any) -> Stage:
        ends = (*self.config.rungs, self.config.steps)
        last = number == len(self.config.rungs)
        metrics = self.config.metrics if last else (self.metric,)
        task = _evaluate.options(num_gpus=self.gpus, num_returns=2)
        settings = (*self.data, self.config, self.seed, metrics, ends[number])
        score, training = cast("Any", task).remote(begun, *settings)
        return Stage(number, score, training)

    def finished(self, running: Sequence[Stage]) -> Sequence[Stage]:
        """Those stages of `running` whose score is ready, after a wait of at most POLL_S seconds.

        The wait ends as soon as one score is ready.
        """
        by_score = {stage.score: stage for stage in running}
        ready, _ = ray.wait(list(by_score), timeout=POLL_S)
        return [by_score[score] for score in ready]

    def score(self, handle: Stage) -> Score:
        """Wait for the score of a stage and return it.

        Raises EvaluationFailed if the evaluation raised an error or the stage's workers died.
        """
        try:
            score: Score = ray.get(handle.score)
        except RayTaskError as error:
            raise EvaluationFailed(f"{type(error.cause).__name__}: {error.cause}") from error
        except RayError as error:
            died = f"its worker died {RETRIES + 1} times ({type(error).__name__})"
            raise EvaluationFailed(died) from error
        return score


@ray.remote(max_retries=RETRIES)
def _evaluate(
    begun: Architecture | ProxyTraining,
    train: Crops,
    select: Crops,
    start: Start,
    config: ProxyConfig,
    seed: int,
    metrics: tuple[str, ...],
    steps: int,
) -> tuple[Score, Architecture | ProxyTraining | None]:
    """The score after `steps`, and the state to continue from, None at the end of training."""
    import torch

    torch.set_num_threads(1)
    training = begin(begun, start, config, seed) if isinstance(begun, Architecture) else begun
    score = score_training(training, train, select, config.qualities, metrics, steps)
    if steps == config.steps:
        return score, None
    # An untrained codec is begun again instead: its architecture is a hundred bytes, not megabytes.
    return score, training if steps else begun
