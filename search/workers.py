"""Evaluation of candidates on Ray."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from search.config import ProxyConfig
from search.evaluation import EvaluationFailed
from search.optimisation import Start
from search.photographs import Photographs
from search.proxy import Score, evaluate
from space.architecture import Architecture

RETRIES = 2
"""Times that Ray runs an evaluation again whose worker died."""
POLL_S = 0.5


def start_ray(address: str | None, workers: int | None) -> int:
    """Join or start a Ray cluster and say how many evaluations it runs at a time."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        # A cluster of one machine and one user needs no token file in the home folder.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    ray.init(
        address=address or "local",
        num_cpus=workers if address is None else None,
        include_dashboard=None if address else False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    resources = ray.cluster_resources()
    slots = int(resources.get("GPU", 0)) or int(resources["CPU"])
    return min(slots, workers or slots)


@dataclass(frozen=True)
class RayEvaluator:
    """Submits evaluations; all share their data, and see them in the same order."""

    data: Any
    """Ray references to the training crops, the selection crops and what candidates start from."""
    config: ProxyConfig
    seed: int

    @classmethod
    def share(
        cls, photographs: Photographs, start: Start, config: ProxyConfig, seed: int
    ) -> RayEvaluator:
        """Put the data into Ray's shared memory once."""
        data = tuple(ray.put(x) for x in (photographs.train, photographs.select, start))
        return cls(data, config, seed)

    def submit(self, architecture: Architecture) -> Any:
        """Reference to the score to come."""
        gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
        task = _evaluate.options(num_gpus=gpus)
        return task.remote(architecture, *self.data, self.config, self.seed)

    def finished(self, running: Sequence[Any]) -> Sequence[Any]:
        """References whose score is there, after at most POLL_S."""
        ready, _ = ray.wait(list(running), timeout=POLL_S)
        return ready

    def score(self, handle: Any) -> Score:
        """The score, when it is there. Raises EvaluationFailed."""
        try:
            score: Score = ray.get(handle)
        except RayTaskError as error:
            raise EvaluationFailed(f"{type(error.cause).__name__}: {error.cause}") from error
        except RayError as error:
            died = f"its worker died {RETRIES + 1} times ({type(error).__name__})"
            raise EvaluationFailed(died) from error
        return score


@ray.remote(max_retries=RETRIES)
def _evaluate(*args: Any) -> Score:
    import torch

    torch.set_num_threads(1)
    return evaluate(*args)
