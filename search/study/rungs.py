"""Rungs: candidates are measured during training and stopped if they can hardly join the front.

A rung is a number of training steps. The cost of a candidate is known before it is trained. The
candidate therefore joins the front only if its BD-rate becomes lower than that of every candidate
that costs no more. Optuna's pruners cannot express this: they compare values of one objective.

As in asynchronous successive halving (Li et al., arXiv 1810.05934), only one in `REDUCTION`
candidates continues immediately after a rung, and the others wait. The candidate that continues is
the one with the largest expected hypervolume improvement (EHVI). Its BD-rate at the end of training
is forecast from the gains of other candidates.
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

from search.sampler.improvement import expected_hypervolume_improvement
from search.study.goal import objective_values
from search.study.objectives import BD_RATE

RUNG_RATES = "rung_rates"
"""User attribute of a trial: BD-rate in percent at each rung that the candidate reached, by number
of training steps."""
EXPECTED_PERCENT = "expected_percent"
"""User attribute of a stopped trial: the BD-rate in percent that was forecast for the end of
training."""
MIN_PAIRS = 6
"""Number of candidates that must be trained to the end before any other is stopped."""
MIN_PROBABILITY = 0.05
"""Probability of joining the front below which a candidate is stopped."""
REDUCTION = 4
"""Reduction factor: one in `REDUCTION` candidates continues immediately after a rung."""


@dataclass(frozen=True)
class Forecast:
    """Forecast of a candidate's objectives at the end of training."""

    bd_rate: NormalDist
    """BD-rate in percent. Its standard deviation is 0 if the candidate was trained to the end."""
    known: Sequence[float]
    """The other objectives, which are known."""

    def may_join(self, others: Iterable[Forecast]) -> bool:
        """Whether the candidate may still join the front.

        It may join if, for each of the `others` that costs no more, the probability that the
        candidate is better than the other is at least `MIN_PROBABILITY`.
        """
        rivals = (
            other
            for other in others
            if other is not self
            and all(theirs <= own for theirs, own in zip(other.known, self.known, strict=True))
        )
        return all((self.bd_rate - rival.bd_rate).cdf(0) >= MIN_PROBABILITY for rival in rivals)


def bd_rate_forecasts(study: optuna.Study, trials: Sequence[FrozenTrial]) -> dict[int, NormalDist]:
    """Forecast the final BD-rates, in percent, of trials that have been measured only at rungs.

    The result maps trial numbers to BD-rates at the end of training. The change of the BD-rate from
    a trial's last rung to the end of training is modelled as a linear function of the BD-rate at
    this rung. The function is fitted to the trials that were measured at this rung and trained to
    the end. While there are fewer than `MIN_PAIRS` of these, the standard deviation is infinite.
    """
    at: dict[int, dict[int, float]] = defaultdict(dict)
    complete = TrialState.COMPLETE
    for trial in [t for t in trials if t.state is not complete]:
        unfinished = trial.state in (TrialState.RUNNING, TrialState.PRUNED)
        if unfinished and (rates := trial.user_attrs.get(RUNG_RATES)):
            last = max(map(int, rates))
            at[last][trial.number] = rates[str(last)]
    found: dict[int, NormalDist] = {}
    if not at:
        return found
    ended = [t for t in trials if t.state is complete]
    for steps, rates in at.items():
        seen = [t for t in ended if str(steps) in t.user_attrs.get(RUNG_RATES, {})]
        pairs = [(t.user_attrs[RUNG_RATES][str(steps)], _bd_rate(study, t)) for t in seen]
        found |= dict(zip(rates, _ends(pairs, list(rates.values())), strict=True))
    return found


def _bd_rate(study: optuna.Study, trial: FrozenTrial) -> float:
    """The BD-rate in percent of a complete trial, by `search.metric`."""
    names = study.metric_names
    assert names is not None  # `open_study` sets them
    return float(trial.values[names.index(BD_RATE)])


def _ends(pairs: Sequence[tuple[float, float]], rates: Sequence[float]) -> list[NormalDist]:
    """Forecasts of final BD-rates from BD-rates at a rung.

    `pairs` are the BD-rates at the rung and at the end of training of completed trials.
    """
    early, full = np.array(pairs).reshape(-1, 2).T
    if len(pairs) < MIN_PAIRS:
        gain = float((full - early).mean()) if pairs else 0.0
        return [NormalDist(rate + gain, math.inf) for rate in rates]
    # The slope is regularised towards zero, an equal gain for all candidates, which is the rule.
    line = BayesianRidge().fit(early[:, None], full - early)
    gains, deviations = line.predict(np.array(rates)[:, None], return_std=True)
    return [NormalDist(*end) for end in zip(rates + gains, deviations, strict=True)]


def forecasts(study: optuna.Study, trials: Sequence[FrozenTrial]) -> dict[int, Forecast]:
    """Forecasts by trial number, of complete trials and of running trials measured at a rung.

    The forecast of a complete trial is its outcome, without uncertainty.
    """
    ends = bd_rate_forecasts(study, [t for t in trials if t.state != TrialState.PRUNED])
    complete = (t for t in trials if t.state == TrialState.COMPLETE)
    ends |= {t.number: NormalDist(_bd_rate(study, t), 0) for t in complete}
    known = [name for name in study.metric_names or () if name != BD_RATE]
    costs = {t.number: t.user_attrs["costs"] for t in trials if t.number in ends}
    return {
        number: Forecast(bd_rate, [costs[number][name] for name in known])
        for number, bd_rate in ends.items()
    }


def expected_objectives(
    study: optuna.Study, trials: Sequence[FrozenTrial]
) -> dict[int, list[float]]:
    """Forecast the mean of every objective, by trial number.

    The result contains only trials that have been measured at rungs but not at the end of training.
    """
    ends = bd_rate_forecasts(study, trials)
    if not ends:
        return {}
    costs = {t.number: t.user_attrs["costs"] for t in trials if t.number in ends}
    return {
        number: objective_values(study, bd_rate.mean, costs[number])
        for number, bd_rate in ends.items()
    }


def due(trials: Sequence[FrozenTrial], waiting: Mapping[int, int]) -> list[int]:
    """Numbers of the trials among which the next one to continue is chosen.

    `waiting` maps the number of each waiting trial to the training steps of its rung. The result
    contains all trials that wait at one rung: the latest rung after which one more trial may
    continue. It is empty if there is no such rung.
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


def most_promising(waiting: Mapping[int, Forecast], others: Sequence[Forecast]) -> int:
    """Number of the trial with the largest EHVI, among the trials `waiting` at a rung.

    The improvement is over the forecast means of `others`. Known objectives are compared by
    logarithm.
    """
    points = np.array([[o.bd_rate.mean, *np.log(o.known)] for o in (*waiting.values(), *others)])
    mean, front = points[: len(waiting)], points[len(waiting) :]
    std = np.zeros_like(mean)
    std[:, 0] = [forecast.bd_rate.stdev for forecast in waiting.values()]
    if not np.isfinite(std).all():
        # While the uncertainty of the forecasts is unknown, only their means count.
        std[:] = 0
    # Without this margin the costliest candidate would add nothing.
    reference_point = points.max(axis=0) + 1e-3 * np.ptp(points, axis=0) + 1e-9
    return list(waiting)[
        int(expected_hypervolume_improvement(mean, std, front, reference_point).argmax())
    ]
