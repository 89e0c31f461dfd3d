"""The search loop: candidates are asked for, evaluated somewhere, and told to the study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from search.grey_box import EXPECTED_VALUES
from search.journal import Journal
from search.proxy import Score
from search.rate_distortion import Curve, CurveError, bd_rate_percent
from search.rungs import RUNG_RATES, forecast, may_join
from search.study import Asker, Candidate, Exhausted, counted, objective_values
from space.architecture import Architecture


class ReferenceFailed(RuntimeError):
    """Without the reference's curve no candidate has a score."""


class EvaluationFailed(RuntimeError):
    """A candidate without a score, and in one line why."""


class Evaluator(Protocol):
    """Where scores come from: one at each rung, and one at the end of training."""

    def submit(self, architecture: Architecture) -> Any:
        """Begin to evaluate, up to the first score; a hashable handle."""
        ...

    def resume(self, handle: Any) -> Any:
        """Train on one that is done but not at its end, up to the next score; its new handle."""
        ...

    def finished(self, running: Sequence[Any]) -> Sequence[Any]:
        """Those of the handles that are done, after waiting a moment for one."""
        ...

    def score(self, handle: Any) -> Score:
        """What an evaluation gave, when it is done. Raises EvaluationFailed."""
        ...


def evaluate_reference(
    evaluator: Evaluator, architecture: Architecture, steps: int, metric: str
) -> Score:
    """Score of the reference after `steps`, the end of training.

    Raises ReferenceFailed, since nothing can be compared without it.
    """
    try:
        handle = evaluator.submit(architecture)
        while (score := evaluator.score(handle)).steps < steps:
            handle = evaluator.resume(handle)
        bd_rate_percent(score.curve, score.curve, metric)
    except (EvaluationFailed, CurveError) as error:
        raise ReferenceFailed(f"the reference architecture failed: {error}") from error
    return score


@dataclass
class _Evaluation:
    """What is known of a candidate under evaluation."""

    candidate: Candidate
    rung_rates: dict[str, float] = field(default_factory=dict)
    train_s: float = 0.0
    score_s: float = 0.0

    def with_times(self, score: Score) -> Score:
        """The score with the seconds of all rungs so far."""
        self.train_s += score.train_s
        self.score_s += score.score_s
        return replace(score, train_s=self.train_s, score_s=self.score_s)


class Search:
    """The loop that keeps every worker busy until `budget` trials are done."""

    def __init__(
        self,
        study: optuna.Study,
        asker: Asker,
        evaluator: Evaluator,
        journal: Journal,
        anchor: Curve,
        steps: int,
        metric: str,
        on_change: Callable[[int], None],
        on_score: Callable[[Architecture, Score], None],
    ) -> None:
        """`journal` is the study's, `anchor` the reference's curve after `steps`, the end.

        `on_change` hears how many evaluations run; `on_score` gets each score at the end.
        """
        self._study, self._asker, self._evaluator = study, asker, evaluator
        self._journal = journal
        self._anchor, self._steps, self._metric = anchor, steps, metric
        self._on_change, self._on_score = on_change, on_score
        self._running: dict[Any, _Evaluation] = {}

    def run(self, budget: int, slots: int) -> None:
        """Evaluate until `budget` trials are counted or the pool is exhausted."""
        exhausted = False
        while True:
            done = len(counted(self._study.get_trials(deepcopy=False)))
            free = min(slots, budget - done) - len(self._running)
            try:
                for _ in range(0 if exhausted else free):
                    with self._journal.at_once():
                        candidate = self._asker.ask()
                    handle = self._evaluator.submit(candidate.architecture)
                    self._running[handle] = _Evaluation(candidate)
            except Exhausted:
                exhausted = True
            self._on_change(len(self._running))
            if not self._running:
                return
            for handle in self._evaluator.finished(list(self._running)):
                with self._journal.at_once():
                    self._receive(self._running.pop(handle), handle)

    def _receive(self, evaluation: _Evaluation, handle: Any) -> None:
        candidate = evaluation.candidate
        try:
            score = evaluation.with_times(self._evaluator.score(handle))
            if score.steps < self._steps:
                if self._may_join(evaluation, score):
                    self._running[self._evaluator.resume(handle)] = evaluation
                return
            rate = bd_rate_percent(self._anchor, score.curve, self._metric)
        except (EvaluationFailed, CurveError) as error:
            candidate.trial.set_user_attr("error", str(error))
            self._study.tell(candidate.trial, state=TrialState.FAIL)
            return
        self._on_score(candidate.architecture, score)
        facts = outcome(self._anchor, score) | {RUNG_RATES: evaluation.rung_rates}
        for name, value in facts.items():
            candidate.trial.set_user_attr(name, value)
        self._study.tell(candidate.trial, objective_values(self._study, rate, candidate.costs))

    def _may_join(self, evaluation: _Evaluation, score: Score) -> bool:
        """Whether to train on after a rung; if not, the trial is told to be stopped."""
        rate = _bd_rate_or_none(self._anchor, score.curve, self._metric)
        if rate is None:
            # Too early to compare.
            return True
        evaluation.rung_rates[str(score.steps)] = rate
        expected = forecast(self._study, score.steps, rate)
        candidate = evaluation.candidate
        known = [candidate.costs["decode_ms"]]
        if expected is None or may_join(self._study, expected, known):
            return True
        facts = {
            RUNG_RATES: evaluation.rung_rates,
            EXPECTED_VALUES: [expected.mean, *known],
            "seconds": _seconds(score),
        }
        for name, value in facts.items():
            candidate.trial.set_user_attr(name, value)
        self._study.tell(candidate.trial, state=TrialState.PRUNED)
        return False


def outcome(anchor: Curve, score: Score) -> dict[str, Any]:
    """What a trial keeps of its score, BD-rates against `anchor` by every metric included."""
    return {
        "curve": dict(score.curve),
        "bd_rates": {
            metric: _bd_rate_or_none(anchor, score.curve, metric)
            for metric in score.curve
            if metric != "bpp"
        },
        "seconds": _seconds(score),
    }


def _seconds(score: Score) -> dict[str, float]:
    return {"train": score.train_s, "score": score.score_s}


def _bd_rate_or_none(anchor: Curve, curve: Curve, metric: str) -> float | None:
    """A metric that does not select may lack a BD-rate without failing the trial."""
    try:
        return bd_rate_percent(anchor, curve, metric)
    except CurveError:
        return None
