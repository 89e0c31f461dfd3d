"""The search loop: candidates are asked for, evaluated somewhere, and told to the study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.evaluation import (
    EvaluationFailed,
    Evaluator,
    Times,
    bd_rate_or_none,
    outcome,
    seconds,
)
from search.goal import objective_values
from search.journal import Journal
from search.proxy import Score
from search.rate_distortion import Curve, CurveError, bd_rate_percent
from search.rungs import (
    EXPECTED_PERCENT,
    RUNG_RATES,
    due,
    most_promising,
    outlooks,
)
from search.study import Asker, Candidate, Exhausted, counted
from space.architecture import Architecture


@dataclass
class _Evaluation:
    """What is known of a candidate under evaluation."""

    candidate: Candidate
    rung_rates: dict[str, float] = field(default_factory=dict)
    times: Times = field(default_factory=Times)

    @property
    def number(self) -> int:
        """Of its trial."""
        return self.candidate.trial.number

    @property
    def steps(self) -> int:
        """Of the last rung that it came to."""
        return max(map(int, self.rung_rates))


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
        on_change: Callable[[int, int], None],
        on_score: Callable[[Architecture, Score], None],
    ) -> None:
        """`journal` is the study's, `anchor` the reference's curve after `steps`, the end.

        `on_change` hears how many evaluations run, and how many wait at a rung; `on_score` gets
        each score at the end.
        """
        self._study, self._asker, self._evaluator = study, asker, evaluator
        self._journal = journal
        self._anchor, self._steps, self._metric = anchor, steps, metric
        self._on_change, self._on_score = on_change, on_score
        self._running: dict[Any, _Evaluation] = {}
        self._waiting: dict[Any, _Evaluation] = {}
        self._exhausted = False

    def run(self, budget: int, slots: int) -> None:
        """Evaluate until `budget` trials are counted or the pool is exhausted."""
        while True:
            with self._journal.at_once():
                while len(self._running) < slots and self._employ(budget):
                    pass
            self._on_change(len(self._running), len(self._waiting))
            if not self._running:
                return
            for handle in self._evaluator.finished(list(self._running)):
                with self._journal.at_once():
                    self._receive(self._running.pop(handle), handle)

    def _may_begin(self, budget: int) -> bool:
        begun = len(counted(self._trials())) + len(self._running) + len(self._waiting)
        return begun < budget and not self._exhausted

    def _employ(self, budget: int) -> bool:
        """Give a worker something to do, if there is anything."""
        if self._go_on(budget) or self._begin(budget):
            return True
        # Where nothing is left to begin, those that wait need wait no longer.
        return self._exhausted and self._go_on(budget)

    def _begin(self, budget: int) -> bool:
        """Ask for a candidate and start it, if there is one to come."""
        if not self._may_begin(budget):
            return False
        try:
            candidate = self._asker.ask()
        except Exhausted:
            self._exhausted = True
            return False
        handle = self._evaluator.submit(candidate.architecture)
        self._running[handle] = _Evaluation(candidate)
        return True

    def _go_on(self, budget: int) -> bool:
        """Train on the most promising of those that wait at a rung, if it is the time for one.

        That is when enough have come to the rung after it, or nothing is left to begin.
        """
        if not self._waiting:
            return False
        trials = self._trials()
        expected = outlooks(self._study, trials)
        for handle, evaluation in list(self._waiting.items()):
            own = expected[evaluation.number]
            if not own.may_join(expected.values()):
                del self._waiting[handle], expected[evaluation.number]
                self._stop(evaluation, own.rate.mean)
        at = {evaluation.number: evaluation.steps for evaluation in self._waiting.values()}
        numbers = due(trials, at) if self._may_begin(budget) else list(at)
        if not numbers:
            return False
        others = [outlook for number, outlook in expected.items() if number not in at]
        chosen = most_promising({number: expected[number] for number in numbers}, others)
        handle = next(h for h, e in self._waiting.items() if e.number == chosen)
        self._running[self._evaluator.resume(handle)] = self._waiting.pop(handle)
        return True

    def _receive(self, evaluation: _Evaluation, handle: Any) -> None:
        trial = evaluation.candidate.trial
        try:
            score = evaluation.times.added(self._evaluator.score(handle))
            if score.steps < self._steps:
                self._pause(evaluation, handle, score)
                return
            rate = bd_rate_percent(self._anchor, score.curve, self._metric)
        except (EvaluationFailed, CurveError) as error:
            trial.set_user_attr("error", str(error))
            self._study.tell(trial, state=TrialState.FAIL)
            return
        self._on_score(evaluation.candidate.architecture, score)
        for name, value in outcome(self._anchor, score).items():
            trial.set_user_attr(name, value)
        values = objective_values(self._study, rate, evaluation.candidate.costs)
        self._study.tell(trial, values)

    def _pause(self, evaluation: _Evaluation, handle: Any, score: Score) -> None:
        """Keep what a rung said, and let the candidate wait."""
        rate = bd_rate_or_none(self._anchor, score.curve, self._metric)
        if rate is None:
            # Too unlike the reference, as yet, to be compared.
            self._running[self._evaluator.resume(handle)] = evaluation
            return
        evaluation.rung_rates[str(score.steps)] = rate
        evaluation.candidate.trial.set_user_attr(RUNG_RATES, dict(evaluation.rung_rates))
        self._waiting[handle] = evaluation

    def _stop(self, evaluation: _Evaluation, expected_percent: float) -> None:
        """Tell the study that a candidate is not trained on."""
        trial = evaluation.candidate.trial
        trial.set_user_attr(EXPECTED_PERCENT, expected_percent)
        trial.set_user_attr("seconds", seconds(evaluation.times.train_s, evaluation.times.score_s))
        self._study.tell(trial, state=TrialState.PRUNED)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)
