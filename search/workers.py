"""Evaluation of candidates on Ray: submitted as asked for, recorded as they finish."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
import ray
from optuna.trial import TrialState
from ray.exceptions import RayError, RayTaskError

from search.config import ProxyConfig
from search.photographs import Photographs
from search.proxy import Score, Start, evaluate
from search.rate_distortion import Curve, CurveError, bd_rate_percent
from search.study import Asker, Candidate, Exhausted, counted
from space.architecture import Architecture

RETRIES = 2
"""Times that Ray runs an evaluation again whose worker died."""
POLL_S = 0.5


class ReferenceFailed(RuntimeError):
    """Without the reference's curve no candidate has a score."""


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
class Evaluator:
    """Submits evaluations; all share their data, and see them in the same order."""

    data: Any
    """Ray references to the training crops, the selection crops and what candidates start from."""
    config: ProxyConfig
    seed: int

    @classmethod
    def share(
        cls, photographs: Photographs, start: Start, config: ProxyConfig, seed: int
    ) -> Evaluator:
        """Put the data into Ray's shared memory once."""
        data = tuple(ray.put(x) for x in (photographs.train, photographs.select, start))
        return cls(data, config, seed)

    def submit(self, architecture: Architecture) -> Any:
        """Reference to the `Score` to come."""
        gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
        task = _evaluate.options(num_gpus=gpus)
        return task.remote(architecture, *self.data, self.config, self.seed)


@ray.remote(max_retries=RETRIES)
def _evaluate(*args: Any) -> Score:
    import torch

    torch.set_num_threads(1)
    return evaluate(*args)


def evaluate_reference(evaluator: Evaluator, architecture: Architecture, metric: str) -> Score:
    """Score of the reference. Raises ReferenceFailed, since nothing can be compared without it."""
    try:
        score: Score = ray.get(evaluator.submit(architecture))
        bd_rate_percent(score.curve, score.curve, metric)
    except (RayError, CurveError) as error:
        raise ReferenceFailed(f"the reference architecture failed: {_reason(error)}") from error
    return score


class Search:
    """The loop that keeps every worker busy until `budget` trials are done."""

    def __init__(
        self,
        study: optuna.Study,
        asker: Asker,
        evaluator: Evaluator,
        anchor: Curve,
        metric: str,
        on_change: Callable[[int], None],
        on_score: Callable[[Architecture, Score], None],
    ) -> None:
        """`anchor` is the reference's curve.

        `on_change` hears how many evaluations run; `on_score` gets each finished score.
        """
        self._study, self._asker, self._evaluator = study, asker, evaluator
        self._anchor, self._metric = anchor, metric
        self._on_change, self._on_score = on_change, on_score
        self._running: dict[Any, Candidate] = {}

    def run(self, budget: int, slots: int) -> None:
        """Evaluate until `budget` trials are counted or the pool is exhausted."""
        exhausted = False
        while True:
            done = len(counted(self._study.get_trials(deepcopy=False)))
            free = min(slots, budget - done) - len(self._running)
            try:
                for _ in range(0 if exhausted else free):
                    candidate = self._asker.ask()
                    self._running[self._evaluator.submit(candidate.architecture)] = candidate
            except Exhausted:
                exhausted = True
            self._on_change(len(self._running))
            if not self._running:
                return
            ready, _ = ray.wait(list(self._running), timeout=POLL_S)
            for reference in ready:
                self._receive(self._running.pop(reference), reference)

    def _receive(self, candidate: Candidate, result: Any) -> None:
        try:
            score: Score = ray.get(result)
            rate = bd_rate_percent(self._anchor, score.curve, self._metric)
        except (RayError, CurveError) as error:
            candidate.trial.set_user_attr("error", _reason(error))
            self._study.tell(candidate.trial, state=TrialState.FAIL)
            return
        self._on_score(candidate.architecture, score)
        for name, value in outcome(self._anchor, score).items():
            candidate.trial.set_user_attr(name, value)
        self._study.tell(candidate.trial, [rate, candidate.costs["decode_ms"]])


def outcome(anchor: Curve, score: Score) -> dict[str, Any]:
    """What a trial keeps of its score, BD-rates against `anchor` by every metric included."""
    return {
        "curve": dict(score.curve),
        "bd_rates": {
            metric: _bd_rate_or_none(anchor, score.curve, metric)
            for metric in score.curve
            if metric != "bpp"
        },
        "seconds": {"train": score.train_s, "score": score.score_s},
    }


def _bd_rate_or_none(anchor: Curve, curve: Curve, metric: str) -> float | None:
    """A metric that does not select may lack a BD-rate without failing the trial."""
    try:
        return bd_rate_percent(anchor, curve, metric)
    except CurveError:
        return None


def _reason(error: Exception) -> str:
    """One line that says what went wrong with an evaluation."""
    if isinstance(error, RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}"
    if isinstance(error, RayError):
        return f"its worker died {RETRIES + 1} times ({type(error).__name__})"
    return str(error)
