"""The search loop: candidates are asked for, evaluated somewhere, and told to the study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from search.proxy import Score
from search.rate_distortion import Curve, CurveError, bd_rate_percent
from search.study import Asker, Candidate, Exhausted, counted, objective_values
from space.architecture import Architecture


class ReferenceFailed(RuntimeError):
    """Without the reference's curve no candidate has a score."""


class EvaluationFailed(RuntimeError):
    """A candidate without a score, and in one line why."""


class Evaluator(Protocol):
    """Where scores come from."""

    def submit(self, architecture: Architecture) -> Any:
        """Begin to evaluate; a hashable handle."""
        ...

    def finished(self, running: Sequence[Any]) -> Sequence[Any]:
        """Those of the handles that are done, after waiting a moment for one."""
        ...

    def score(self, handle: Any) -> Score:
        """What an evaluation gave, when it is done. Raises EvaluationFailed."""
        ...


def evaluate_reference(evaluator: Evaluator, architecture: Architecture, metric: str) -> Score:
    """Score of the reference. Raises ReferenceFailed, since nothing can be compared without it."""
    try:
        score = evaluator.score(evaluator.submit(architecture))
        bd_rate_percent(score.curve, score.curve, metric)
    except (EvaluationFailed, CurveError) as error:
        raise ReferenceFailed(f"the reference architecture failed: {error}") from error
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
            for handle in self._evaluator.finished(list(self._running)):
                self._receive(self._running.pop(handle), handle)

    def _receive(self, candidate: Candidate, handle: Any) -> None:
        try:
            score = self._evaluator.score(handle)
            rate = bd_rate_percent(self._anchor, score.curve, self._metric)
        except (EvaluationFailed, CurveError) as error:
            candidate.trial.set_user_attr("error", str(error))
            self._study.tell(candidate.trial, state=TrialState.FAIL)
            return
        self._on_score(candidate.architecture, score)
        for name, value in outcome(self._anchor, score).items():
            candidate.trial.set_user_attr(name, value)
        self._study.tell(candidate.trial, objective_values(self._study, rate, candidate.costs))


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
