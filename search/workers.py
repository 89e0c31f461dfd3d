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
from search.metrics import METRICS
from search.photographs import Photographs
from search.proxy import Score, evaluate
from search.rate_distortion import Curve, CurveError, bd_rate_percent
from search.study import Asker, Candidate, Exhausted, counted
from space.architecture import Architecture
from space.skeleton import Skeleton

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
        address=address,
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
    """Submits evaluations whose data every worker shares."""

    data: Any
    """Ray references to the training crops, the selection crops and the skeleton."""
    config: ProxyConfig
    seed: int

    @classmethod
    def share(
        cls, photographs: Photographs, skeleton: Skeleton, config: ProxyConfig, seed: int
    ) -> Evaluator:
        """Put the data into Ray's shared memory once."""
        data = tuple(ray.put(x) for x in (photographs.train, photographs.select, skeleton))
        return cls(data, config, seed)

    def submit(self, architecture: Architecture) -> Any:
        """Reference to the `Score` to come."""
        gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
        task = _evaluate.options(num_gpus=gpus)
        seed = (int(architecture.id, 16) + self.seed) % 2**63
        return task.remote(architecture, *self.data, self.config, seed)


@ray.remote(max_retries=RETRIES)
def _evaluate(*args: Any) -> Score:
    import torch

    torch.set_num_threads(1)
    return evaluate(*args)


class Search:
    """The loop that keeps every worker busy until `budget` trials are done."""

    def __init__(
        self,
        study: optuna.Study,
        asker: Asker,
        evaluator: Evaluator,
        reference: Architecture,
        metric: str,
        on_change: Callable[[int], None],
        on_score: Callable[[Architecture, Score], None],
    ) -> None:
        """`on_change` hears how many evaluations run; `on_score` gets each finished score."""
        self._study, self._asker, self._evaluator = study, asker, evaluator
        self._reference, self._metric = reference, metric
        self._on_change, self._on_score = on_change, on_score
        self._running: dict[Any, Candidate] = {}
        self._waiting: list[tuple[Candidate, Score]] = []

    def run(self, budget: int, slots: int) -> None:
        """Evaluate until `budget` trials are counted or the pool is exhausted.

        Raises ReferenceFailed when the reference has no curve.
        """
        exhausted = False
        while True:
            done = len(counted(self._study.get_trials(deepcopy=False))) + len(self._waiting)
            while (
                not exhausted and len(self._running) < slots and done + len(self._running) < budget
            ):
                try:
                    candidate = self._asker.ask()
                except Exhausted:
                    exhausted = True
                    break
                self._running[self._evaluator.submit(candidate.architecture)] = candidate
            self._on_change(len(self._running))
            if not self._running:
                return
            ready, _ = ray.wait(list(self._running), timeout=POLL_S)
            for reference in ready:
                self._receive(reference)

    def _receive(self, reference: Any) -> None:
        candidate = self._running.pop(reference)
        try:
            score: Score = ray.get(reference)
        except RayTaskError as error:
            self._fail(candidate, f"{type(error.cause).__name__}: {error.cause}")
            return
        except RayError as error:
            self._fail(candidate, f"its worker died {RETRIES + 1} times ({type(error).__name__})")
            return
        self._on_score(candidate.architecture, score)
        self._waiting.append((candidate, score))
        anchor = self._anchor()
        while anchor and self._waiting:
            self._record(*self._waiting.pop(), anchor)

    def _anchor(self) -> Curve | None:
        """The reference's curve, once it is known."""
        for candidate, score in self._waiting:
            if candidate.architecture == self._reference:
                return score.curve
        for trial in self._study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
            if trial.user_attrs["id"] == self._reference.id:
                curve: Curve = trial.user_attrs["curve"]
                return curve
        return None

    def _record(self, candidate: Candidate, score: Score, anchor: Curve) -> None:
        trial = candidate.trial
        trial.set_user_attr("curve", score.curve)
        trial.set_user_attr("seconds", {"train": score.train_s, "score": score.score_s})
        try:
            rate = bd_rate_percent(anchor, score.curve, self._metric)
        except CurveError as error:
            self._fail(candidate, str(error))
            return
        rates = {metric: _bd_rate_or_none(anchor, score.curve, metric) for metric in METRICS}
        trial.set_user_attr("bd_rates", rates)
        self._study.tell(trial, [rate, candidate.costs["decode_ms"]])

    def _fail(self, candidate: Candidate, error: str) -> None:
        if candidate.architecture == self._reference:
            # Its trial stays open, so that the next continuation tries it again.
            raise ReferenceFailed(f"the space's reference architecture failed: {error}")
        candidate.trial.set_user_attr("error", error)
        self._study.tell(candidate.trial, state=TrialState.FAIL)


def _bd_rate_or_none(anchor: Curve, curve: Curve, metric: str) -> float | None:
    """A metric that does not select may lack a BD-rate without failing the trial."""
    try:
        return bd_rate_percent(anchor, curve, metric)
    except CurveError:
        return None
