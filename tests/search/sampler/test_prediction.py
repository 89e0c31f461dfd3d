"""Forecasts that the grey-box sampler makes for the candidates that its model chooses."""

import numpy as np
import optuna
import pytest
from toy_pool import POOL, SPACE, error, milliseconds, run, study

from search.sampler.grey_box import START, GreyBoxSampler

PLAIN = POOL[POOL["kind"] == "plain"]


def sampler_of(of: optuna.Study) -> GreyBoxSampler:
    assert isinstance(of.sampler, GreyBoxSampler)
    return of.sampler


def test_none_before_the_model_chooses_and_one_for_each_later_trial() -> None:
    searched = study()
    run(searched, START + 6)
    sampler = sampler_of(searched)
    assert all(sampler.prediction(number) == {} for number in range(START))
    assert all([*sampler.prediction(number)] == [0] for number in range(START, START + 6))
    assert sampler.prediction(START + 6) == {}


def test_a_forecast_is_made_before_the_value_is_known_and_is_near_it() -> None:
    searched, misses = study(seed=1), []
    for number in range(40):
        trial = searched.ask(SPACE)
        forecast = sampler_of(searched).prediction(number)
        value = error(trial.params)
        searched.tell(trial, [value, float(milliseconds(trial.params))])
        assert sampler_of(searched).prediction(number) == forecast
        if forecast:
            mean, std = forecast[0]
            assert std > 0
            misses.append(abs(value - mean) / std)
    assert np.median(misses) < 1.5
    assert np.mean(np.array(misses) < 3) > 0.8


def test_a_maximised_objective_is_forecast_in_its_own_direction() -> None:
    forecasts = []
    for sign, direction in ((1, "minimize"), (-1, "maximize")):
        sampler = GreyBoxSampler(POOL, {1: milliseconds(POOL)}, SPACE, seed=0)
        of = optuna.create_study(directions=[direction, "minimize"], sampler=sampler)
        for _ in range(START + 4):
            trial = of.ask(SPACE)
            of.tell(trial, [sign * error(trial.params), float(milliseconds(trial.params))])
        forecasts.append(np.array([sampler.prediction(n)[0] for n in range(START, START + 4)]))
    assert forecasts[1] == pytest.approx(forecasts[0] * [-1, 1])


def test_every_learned_objective_is_forecast_and_no_known_one() -> None:
    sampler = GreyBoxSampler(POOL, {1: milliseconds(POOL)}, SPACE, seed=0)
    of = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    for _ in range(START + 3):
        trial = of.ask(SPACE)
        size = trial.params["width"] * (1.0 + trial.params["depth"] ** 2)
        of.tell(trial, [error(trial.params), float(milliseconds(trial.params)), size])
    assert [*sampler.prediction(START + 2)] == [0, 2]


def test_an_enqueued_candidate_has_no_forecast() -> None:
    searched = study()
    asked = run(searched, START)
    free = next(p for p in POOL.to_dict("records") if tuple(p.values()) not in asked)
    searched.enqueue_trial(free)
    assert searched.ask(SPACE).params == free
    assert sampler_of(searched).prediction(START) == {}


def test_a_candidate_that_is_enqueued_in_part_is_forecast_if_the_pool_has_it() -> None:
    searched = optuna.create_study(
        directions=["minimize"] * 2,
        sampler=GreyBoxSampler(PLAIN, {1: milliseconds(PLAIN).to_numpy()}, SPACE, seed=0),
    )
    run(searched, START)
    for number, kind in enumerate(("gated", "plain"), START):
        searched.enqueue_trial({"kind": kind})
        assert searched.ask(SPACE).params["kind"] == kind
        assert bool(sampler_of(searched).prediction(number)) == (kind == "plain")
