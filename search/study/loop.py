"""The search loop: it asks for candidates, has them evaluated and tells the study the results."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.evaluation.scores import (
    CumulativeTime,
    EvaluationFailed,
    Evaluator,
    bd_rate_or_none,
    outcome,
    seconds,
)
from search.metrics.rate_distortion import Curve, CurveError, bd_rate_percent
from search.storage.database import Database
from search.study.goal import objective_values
from search.study.journal import Journal
from search.study.objectives import bd_rate_column
from search.study.rungs import EXPECTED_PERCENT, RUNG_RATES, due, forecasts, most_promising
from search.study.study import Candidate, EndedTrials, Exhausted, Proposer
from search.training.proxy import Score
from space.architecture import Architecture


@dataclass
class _Evaluation:
    """State of a candidate under evaluation."""

    candidate: Candidate
    rung_rates: dict[str, float] = field(default_factory=dict)
    """BD-rate in percent at each rung that the candidate has reached, by number of training
    steps."""
    time: CumulativeTime = field(default_factory=CumulativeTime)
    handle: Any = None
    """Handle of the last stage while the candidate waits; None if an earlier process ran it."""

    @classmethod
    def interrupted(cls, candidate: Candidate) -> _Evaluation:
        """The state that an earlier process recorded of a candidate."""
        attrs = candidate.trial.user_attrs
        spent = attrs.get("seconds", seconds(0.0, 0.0))
        time = CumulativeTime(spent["train"], spent["score"])
        return cls(candidate, attrs.get(RUNG_RATES, {}), time)

    @property
    def number(self) -> int:
        """Number of the candidate's trial."""
        return self.candidate.trial.number

    @property
    def steps(self) -> int:
        """Training steps of the last rung that the candidate reached; -1 before the first."""
        return max(map(int, self.rung_rates), default=-1)


class Search:
    """The search loop, which keeps every worker busy until enough trials are done."""

    def __init__(
        self,
        study: optuna.Study,
        proposer: Proposer,
        evaluator: Evaluator,
        journal: Journal | Database,
        anchor: Curve,
        steps: int,
        rungs: Sequence[int],
        metric: str,
        on_change: Callable[[int, int], None],
        on_score: Callable[[Architecture, Score], None],
    ) -> None:
        """Create a search.

        `journal` is the journal of `study`, or its database. Training ends after `steps` steps;
        candidates are also measured after the `rungs`, which are smaller numbers of steps. `anchor`
        is the rate-distortion curve of the reference architecture at the end of training. `metric`
        is that of the run's `search.metric`. `on_change` is called with two numbers of evaluations:
        those that run, and those that wait at a rung. `on_score` is called with the architecture
        and score of every candidate that was trained to the end.
        """
        self._study, self._proposer, self._evaluator = study, proposer, evaluator
        self._journal = journal
        self._anchor, self._steps, self._rungs, self._metric = anchor, steps, rungs, metric
        self._on_change, self._on_score = on_change, on_score
        self._running: dict[Any, _Evaluation] = {}
        interrupted = [_Evaluation.interrupted(candidate) for candidate in proposer.interrupted]
        self._waiting = {each.number: each for each in interrupted if each.rung_rates}
        """Evaluations that wait at a rung, by number of their trials."""
        self._cut_off = deque(each for each in interrupted if not each.rung_rates)
        """Evaluations of an earlier process that were interrupted before they reached a rung."""
        self._exhausted = False
        self._newly_ended, self._ended = EndedTrials(study), 0

    def run(self, budget: int) -> None:
        """Evaluate candidates on all workers there are until the study has `budget` counted trials.

        `counted` says which trials count. The loop ends earlier if the pool is exhausted.
        Candidates that an earlier process began are evaluated also if they exceed the budget.
        """
        while True:
            slots = self._evaluator.slots()
            with self._journal.batch():
                while len(self._running) < slots and self._start_or_resume(budget):
                    pass
            self._on_change(len(self._running), len(self._waiting))
            if slots and not self._running:
                return
            for handle in self._evaluator.finished(list(self._running)):
                with self._journal.batch():
                    self._receive(self._running.pop(handle), handle)

    def _may_start(self, budget: int) -> bool:
        self._ended += len(self._newly_ended.new())
        begun = len(self._cut_off) + len(self._running) + len(self._waiting)
        return self._ended + begun < budget and not self._exhausted

    def _start_or_resume(self, budget: int) -> bool:
        """Start or resume one evaluation; return whether there was one."""
        if self._begin_again() or self._resume(budget) or self._start(budget):
            return True
        # If the pool is exhausted, candidates at a rung have nothing left to wait for.
        return self._exhausted and self._resume(budget)

    def _begin_again(self) -> bool:
        """Start an evaluation that an earlier process began; return whether there was one."""
        if self._cut_off:
            self._train(self._cut_off.popleft())
            return True
        return False

    def _train(self, evaluation: _Evaluation) -> None:
        """Have a candidate trained to its next score.

        What an earlier process trained is trained again, and is seeded to give the same weights:
        on disk they would be 128 MB for each candidate that waits.
        """
        if evaluation.handle is None:
            passed = bisect_right(self._rungs, evaluation.steps)
            handle = self._evaluator.submit(evaluation.candidate.architecture, passed)
        else:
            handle = self._evaluator.resume(evaluation.handle)
            evaluation.handle = None
        self._running[handle] = evaluation

    def _start(self, budget: int) -> bool:
        """Ask for a candidate and start its evaluation; return whether there was one."""
        if not self._may_start(budget):
            return False
        try:
            candidate = self._proposer.ask()
        except Exhausted:
            self._exhausted = True
            return False
        self._train(_Evaluation(candidate))
        return True

    def _resume(self, budget: int) -> bool:
        """Resume the most promising candidate at a rung, if one is due; return whether one was due.

        A candidate is due if enough candidates have reached its rung, or if no new candidate may
        begin. Candidates that can hardly join the front any more are stopped first.
        """
        if not self._waiting:
            return False
        trials = self._trials()
        expected = forecasts(self._study, trials)
        for number, evaluation in list(self._waiting.items()):
            own = expected[number]
            if not own.may_join(expected.values()):
                del self._waiting[number], expected[number]
                self._stop(evaluation, own.bd_rate.mean)
        at = {number: evaluation.steps for number, evaluation in self._waiting.items()}
        numbers = due(trials, at) if self._may_start(budget) else list(at)
        if not numbers:
            return False
        others = [forecast for number, forecast in expected.items() if number not in at]
        chosen = most_promising({number: expected[number] for number in numbers}, others)
        self._train(self._waiting.pop(chosen))
        return True

    def _receive(self, evaluation: _Evaluation, handle: Any) -> None:
        trial = evaluation.candidate.trial
        try:
            score = evaluation.time.accumulated(self._evaluator.score(handle))
            if score.steps < self._steps:
                self._pause(evaluation, handle, score)
                return
            rate = bd_rate_percent(self._anchor, score.curve, self._metric)
            others = self._other_bd_rates(score.curve)
        except (EvaluationFailed, CurveError) as error:
            trial.set_user_attr("error", str(error))
            self._study.tell(trial, state=TrialState.FAIL)
            return
        self._on_score(evaluation.candidate.architecture, score)
        for name, value in outcome(self._anchor, score).items():
            trial.set_user_attr(name, value)
        values = objective_values(self._study, rate, evaluation.candidate.costs | others)
        self._study.tell(trial, values)

    def _other_bd_rates(self, curve: Curve) -> dict[str, float]:
        """BD-rates by other metrics that the study minimises, by column. Raises CurveError."""
        names = self._study.metric_names or ()
        return {
            column: bd_rate_percent(self._anchor, curve, metric)
            for metric in curve
            if (column := bd_rate_column(metric)) in names
        }

    def _pause(self, evaluation: _Evaluation, handle: Any, score: Score) -> None:
        """Record the BD-rate at a rung, and let the candidate wait there."""
        evaluation.handle = handle
        trial = evaluation.candidate.trial
        trial.set_user_attr("seconds", seconds(score.train_s, score.score_s))
        rate = bd_rate_or_none(self._anchor, score.curve, self._metric)
        if rate is None:
            # Its curve is still too far from the reference's for a BD-rate, so it trains on.
            self._train(evaluation)
            return
        evaluation.rung_rates[str(score.steps)] = rate
        trial.set_user_attr(RUNG_RATES, dict(evaluation.rung_rates))
        self._waiting[evaluation.number] = evaluation

    def _stop(self, evaluation: _Evaluation, expected_percent: float) -> None:
        """Tell the study that a candidate was stopped at a rung."""
        trial = evaluation.candidate.trial
        trial.set_user_attr(EXPECTED_PERCENT, expected_percent)
        self._study.tell(trial, state=TrialState.PRUNED)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)
