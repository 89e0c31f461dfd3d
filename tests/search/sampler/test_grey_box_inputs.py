"""Odd pools, values and trials that a plain study may give the grey-box sampler."""

from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from toy_pool import POOL, SPACE, error, milliseconds, run, study

from search.sampler.grey_box import GreyBoxSampler, Points, PoolExhausted


def test_a_pool_that_ends_is_renewed_whatever_was_seen() -> None:
    rng = np.random.default_rng(0)

    def renew(best: Points, tried: Points) -> tuple[pd.DataFrame, dict[int, Any]]:
        drawn = POOL.iloc[rng.permutation(len(POOL))[:5]]
        table = pd.concat([drawn, pd.DataFrame(tried, columns=POOL.columns)]).drop_duplicates()
        return table, {1: milliseconds(table).to_numpy()}

    few = POOL.iloc[:3]
    sampler = GreyBoxSampler(few, {1: milliseconds(few)}, SPACE, seed=0, renew=renew)
    of = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    asked = run(of, 40)
    assert len(set(asked)) == 40


@pytest.mark.parametrize("directions", [1, 2])
def test_a_value_that_is_not_finite_is_as_bad_as_the_worst(directions: int) -> None:
    known = {1: milliseconds(POOL)} if directions == 2 else {}
    of = optuna.create_study(
        directions=["minimize"] * directions,
        sampler=GreyBoxSampler(POOL, known, SPACE, seed=0),
    )
    asked = set()
    for n in range(30):
        trial = of.ask(SPACE)
        values = [np.inf if n % 4 == 1 else error(trial.params), milliseconds(trial.params)]
        of.tell(trial, [float(value) for value in values[:directions]])
        asked.add(tuple(trial.params.values()))
    assert len(asked) == 30


def test_what_was_cut_off_and_runs_again_has_not_failed() -> None:
    of = study()
    run(of, 14)
    sampler = of.sampler
    assert isinstance(sampler, GreyBoxSampler)
    cut = of.ask(SPACE)
    of.tell(cut, state=TrialState.FAIL)
    of.enqueue_trial(cut.params)
    again = of.ask(SPACE)
    assert again.params == cut.params
    trials = of.get_trials()
    seen = {t.number: t.values for t in trials if t.values}
    sampler._history.read(trials, {}, -1)
    observations = sampler._observations(seen, np.ones(2))
    row = int(sampler._pool.rows([cut.params])[0])
    assert row in observations.pending
    assert row not in observations.failed


def test_trials_of_which_a_part_is_given_are_chosen_among_the_rest() -> None:
    of = study()
    run(of, 13)
    for _ in range(5):
        of.enqueue_trial({"width": 16})
    while True:
        try:
            run(of, 1)
        except PoolExhausted:
            break
    complete = [tuple(t.params.values()) for t in of.trials if t.values]
    assert len(complete) == len(set(complete)) == len(POOL)
    assert all(t.params["width"] == 16 for t in of.trials[13:18])


@pytest.mark.parametrize(
    ("pool", "known", "options", "said"),
    [
        (POOL, {1: np.ones(20)}, {}, "objective 1 is known as 20 values.*expected 144 finite"),
        (POOL, {1: np.full(len(POOL), np.nan)}, {}, "144 of them not finite"),
        (POOL.assign(kind=None), {}, {}, "a value of each parameter"),
        (POOL[["width", "depth"]], {}, {}, "width, depth: expected .* width, depth, kind"),
        (pd.concat([POOL, POOL[:3]]), {}, {}, "3 of 147 candidates repeat"),
        (POOL[:0], {}, {}, "expected a pool of candidates"),
        (POOL, {}, {"start": 0}, "start=0: expected at least 1"),
        (POOL, {}, {"stages": {"hue": "a", "kind": "a"}}, "stages of hue: expected parameters"),
    ],
)
def test_what_does_not_fit_is_said(
    pool: pd.DataFrame, known: dict[int, Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        GreyBoxSampler(pool, known, SPACE, **options)


def test_an_objective_that_the_study_lacks_is_said() -> None:
    sampler = GreyBoxSampler(POOL, {1: milliseconds(POOL)}, SPACE)
    with pytest.raises(ValueError, match="objective 1 is known, but the study has 1"):
        optuna.create_study(sampler=sampler).ask(SPACE)
