"""Rungs: candidates are measured on the way, and only those that may join the front are trained on.

What a candidate costs is known beforehand, so that it has to be better than the best of those that
cost no more; Optuna's pruners compare values of one objective. One in REDUCTION goes on at once, as
in asynchronous successive halving (Li et al., arXiv 1810.05934): the one that adds most to the
front, if training gains what it gained for others. The rest wait for what comes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from sklearn.linear_model import BayesianRidge

from search.goal import objective_values
from search.improvement import expected_gain

RUNG_RATES = "rung_rates"
"""User attribute of a trial: its BD-rate in percent at each rung, by steps."""
EXPECTED_PERCENT = "expected_percent"
"""User attribute of a trial that was stopped: the BD-rate that it would have come to."""
LEAST_PAIRS = 6
"""Candidates that were trained to the end, before any is stopped."""
DOUBT = 0.05
"""Probability of joining the front below which a candidate is stopped."""
REDUCTION = 4
"""Of so many that reach a rung one goes on at once."""


@dataclass(frozen=True)
class Outlook:
    """What a candidate will come to."""

    rate: NormalDist
    """BD-rate in percent at the end of training; without deviation where that was reached."""
    known: Sequence[float]
    """Its other objectives."""

    def may_join(self, others: Iterable[Outlook]) -> bool:
        """Whether it may be better than each of the `others` that cost no more."""
        rivals = (
            other
            for other in others
            if other is not self
            and all(theirs <= own for theirs, own in zip(other.known, self.known, strict=True))
        )
        return all((self.rate - rival.rate).cdf(0) >= DOUBT for rival in rivals)


def forecasts(trials: Sequence[FrozenTrial]) -> dict[int, NormalDist]:
    """By number, the BD-rate in percent at the end of training of trials that only saw rungs.

    What training gains is a linear function of the rate, learned from those that were trained to
    the end, with a spread, which is infinite while they are fewer than LEAST_PAIRS.
    """
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    at: dict[int, dict[int, float]] = defaultdict(dict)
    for trial in trials:
        rates = trial.user_attrs.get(RUNG_RATES)
        if rates and trial.state in (TrialState.RUNNING, TrialState.PRUNED):
            last = max(map(int, rates))
            at[last][trial.number] = rates[str(last)]
    found: dict[int, NormalDist] = {}
    for steps, rates in at.items():
        seen = [t for t in complete if str(steps) in t.user_attrs.get(RUNG_RATES, {})]
        pairs = [(t.user_attrs[RUNG_RATES][str(steps)], t.values[0]) for t in seen]
        found |= dict(zip(rates, _ends(pairs, list(rates.values())), strict=True))
    return found


def _ends(pairs: Sequence[tuple[float, float]], rates: Sequence[float]) -> list[NormalDist]:
    """What rates become, by `pairs` of a rate and what it became."""
    early, full = np.array(pairs).reshape(-1, 2).T
    if len(pairs) < LEAST_PAIRS:
        gain = float((full - early).mean()) if pairs else 0.0
        return [NormalDist(rate + gain, math.inf) for rate in rates]
    # Regularised towards an equal gain for all, which is the rule.
    line = BayesianRidge().fit(early[:, None], full - early)
    gains, deviations = line.predict(np.array(rates)[:, None], return_std=True)
    return [NormalDist(*end) for end in zip(rates + gains, deviations, strict=True)]


def outlooks(study: optuna.Study, trials: Sequence[FrozenTrial]) -> dict[int, Outlook]:
    """By number, what trials came to, or will come to that are not at their end."""
    ends = forecasts([t for t in trials if t.state != TrialState.PRUNED])
    ends |= {t.number: NormalDist(t.values[0], 0) for t in trials if t.state == TrialState.COMPLETE}
    costs = {t.number: t.user_attrs["costs"] for t in trials if t.number in ends}
    return {
        number: Outlook(rate, objective_values(study, rate.mean, costs[number])[1:])
        for number, rate in ends.items()
    }


def foreseen(study: optuna.Study, trials: Sequence[FrozenTrial]) -> dict[int, list[float]]:
    """By number, the values of all objectives that are expected of trials that only saw rungs."""
    ends = forecasts(trials)
    costs = {t.number: t.user_attrs["costs"] for t in trials if t.number in ends}
    return {
        number: objective_values(study, rate.mean, costs[number]) for number, rate in ends.items()
    }


def due(trials: Sequence[FrozenTrial], waiting: Mapping[int, int]) -> list[int]:
    """Numbers of trials `waiting` at the steps of a rung of which one more is to go on; the last
    such rung.
    """
    for steps in sorted(set(waiting.values()), reverse=True):
        here = [number for number, at in waiting.items() if at == steps]
        came = [
            max(map(int, t.user_attrs[RUNG_RATES])) == steps and t.state == TrialState.PRUNED
            for t in trials
            if t.state != TrialState.FAIL and str(steps) in t.user_attrs.get(RUNG_RATES, {})
        ]
        went_on = len(came) - sum(came) - len(here)
        if (went_on + 1) * REDUCTION <= len(came):
            return here
    return []


def most_promising(waiting: Mapping[int, Outlook], others: Sequence[Outlook]) -> int:
    """Number of the one that is expected to add most to the hypervolume of `others`."""
    points = np.array([[o.rate.mean, *np.log(o.known)] for o in (*waiting.values(), *others)])
    mean, front = points[: len(waiting)], points[len(waiting) :]
    deviation = np.zeros_like(mean)
    deviation[:, 0] = [outlook.rate.stdev for outlook in waiting.values()]
    if not np.isfinite(deviation).all():
        # While nobody knows how far training may differ, the means alone count.
        deviation[:] = 0
    # The costliest would add nothing else.
    worst = points.max(axis=0) + 1e-3 * np.ptp(points, axis=0) + 1e-9
    return list(waiting)[int(expected_gain(mean, deviation, front, worst).argmax())]
