"""Importance of the searched parameters for each objective."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
import pandas as pd
from optuna.importance import MeanDecreaseImpurityImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from search.report.analysis.parameters import (
    MOST_TRIALS,
    distributions_of,
    evenly_spread,
    searched_parameters,
)

LEAST_TRIALS = 50
"""Number of evaluated trials from which importances are computed.

For a made-up additive objective of 30 parameters, the most important parameter is found in four of
ten draws of 30 trials and in nine of ten draws of 50. Of the five most important, 3.3 are found in
50 trials and 4.2 in 100 (benchmarks/importance.md).
"""


def parameter_importances(
    done: pd.DataFrame, objectives: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Importance of each searched parameter, by objective: shares that add up to 1.

    `done` are the evaluated trials, and `objectives` are columns of this table. The importance is
    the mean decrease in impurity over a random forest: the share of the objective's variance among
    the trials that splits by the parameter explain. At most MOST_TRIALS trials are used, evenly
    spread over the run. The result is empty if there are fewer than LEAST_TRIALS.

    Of Optuna's evaluators, fANOVA is no more accurate and takes up to four times as long. PED-ANOVA
    compares the best tenth of the trials with all of them. It fails because a search evaluates
    mostly good architectures, which share the values that matter (benchmarks/importance.md).
    """
    if len(done) < LEAST_TRIALS:
        return {}
    study = _study(evenly_spread(done, MOST_TRIALS), objectives)
    return {name: _importances(study, number) for number, name in enumerate(objectives)}


def _importances(study: optuna.Study, number: int) -> dict[str, float]:
    def value(trial: FrozenTrial) -> float:
        return float(trial.values[number])

    evaluator = MeanDecreaseImpurityImportanceEvaluator(seed=0)
    return get_param_importances(study, evaluator=evaluator, target=value)


def _study(done: pd.DataFrame, objectives: Sequence[str]) -> optuna.Study:
    """A study in memory with these trials."""
    points = searched_parameters(done)
    distributions = distributions_of(points)
    study = optuna.create_study(directions=["minimize"] * len(objectives))
    outcomes = done[list(objectives)].to_numpy(float).tolist()
    study.add_trials(
        create_trial(
            params=dict(zip(distributions, point, strict=True)),
            distributions=distributions,
            values=values,
        )
        for point, values in zip(points.itertuples(index=False), outcomes, strict=True)
    )
    return study
