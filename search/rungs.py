"""Rungs: a candidate is measured on the way, and trained on only while it may join the front.

Optuna's pruners compare values of one objective. Here the others are known beforehand, so that what
a candidate has to reach is the best quality among those that cost no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from sklearn.linear_model import BayesianRidge

RUNG_RATES = "rung_rates"
"""User attribute of a trial: its BD-rate in percent at each rung, by steps."""
LEAST_PAIRS = 6
"""Candidates that were trained to the end, before any is stopped."""
DOUBT = 0.05
"""Probability of joining the front below which a candidate is stopped."""


def forecast(study: optuna.Study, steps: int, rate: float) -> NormalDist | None:
    """BD-rate in percent at the end of training of a candidate that has `rate` after `steps`.

    What training gains is a linear function of the rate, learned from those that were trained to
    the end, with a spread; None while they are fewer than `LEAST_PAIRS`.
    """
    pairs = [
        (trial.user_attrs[RUNG_RATES][str(steps)], trial.values[0])
        for trial in _complete(study)
        if str(steps) in trial.user_attrs.get(RUNG_RATES, {})
    ]
    if len(pairs) < LEAST_PAIRS:
        return None
    early, full = np.array(pairs).T
    # Regularised towards an equal gain for all, which is the rule.
    line = BayesianRidge().fit(early[:, None], full - early)
    gain, deviation = line.predict([[rate]], return_std=True)
    return NormalDist(rate + gain[0], deviation[0])


def may_join(study: optuna.Study, rate: NormalDist, known: Sequence[float]) -> bool:
    """Whether a candidate of such a rate may be better than all whose other objectives are no worse
    than its own, which are `known`.
    """
    rivals = [
        trial.values[0]
        for trial in _complete(study)
        if all(theirs <= own for theirs, own in zip(trial.values[1:], known, strict=True))
    ]
    return not rivals or rate.cdf(min(rivals)) >= DOUBT


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
