"""Candidates that are trained on after a rung, and forecasts for the others."""

import math
from statistics import NormalDist

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.study.rungs import (
    MIN_PAIRS,
    MIN_PROBABILITY,
    REDUCTION,
    RUNG_RATES,
    Forecast,
    bd_rate_forecasts,
    due,
    expected_objectives,
    forecasts,
    most_promising,
)

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def study_of(trials: list[FrozenTrial]) -> optuna.Study:
    study = optuna.create_study(directions=["minimize"] * 2)
    study.set_metric_names(["bd_rate_percent", "decode_ms"])
    study.add_trials(trials)
    return study


def complete(rate: float, ms: float = 1.0, **rungs: float) -> FrozenTrial:
    return create_trial(values=[rate, ms], user_attrs=attrs(ms, rungs))


def paused(ms: float = 1.0, state: TrialState = TrialState.RUNNING, **rungs: float) -> FrozenTrial:
    return create_trial(state=state, user_attrs=attrs(ms, rungs))


def attrs(ms: float, rungs: dict[str, float]) -> dict[str, object]:
    rates = {name.removeprefix("at"): rate for name, rate in rungs.items()}
    return {"costs": {"decode_ms": ms}, RUNG_RATES: rates}


@pytest.mark.parametrize(("slope", "noise"), [(1.0, 0.3), (0.6, 0.3), (1.0, 2.0)])
def test_forecasts_are_calibrated(slope: float, noise: float) -> None:
    """Nine in ten candidates that follow a line with noise end within the interval."""
    rng = np.random.default_rng(0)
    early = rng.normal(0, 5, size=1030)
    full = slope * early - 3 + rng.normal(0, noise, size=len(early))
    ended = [complete(f, at10=e) for e, f in zip(early[:30], full[:30], strict=True)]
    study = study_of([*ended, *(paused(at10=rate) for rate in early[30:])])
    found = bd_rate_forecasts(study, study.trials)
    assert list(found) == list(range(30, 1030))
    inside = [
        abs(value - expected.mean) < 1.645 * expected.stdev
        for expected, value in zip(found.values(), full[30:], strict=True)
    ]
    assert 0.85 < np.mean(inside) < 0.95


def test_of_a_few_only_the_mean_gain_is_known() -> None:
    ended = [complete(n - 2.0, at10=n + 1.0) for n in range(MIN_PAIRS)]
    for count, gain in ((0, 0), (1, -3), (MIN_PAIRS - 1, -3)):
        study = study_of([*ended[:count], paused(at10=7.0)])
        (found,) = bd_rate_forecasts(study, study.trials).values()
        assert found == NormalDist(7.0 + gain, math.inf)
    study = study_of([*ended, paused(at10=7.0)])
    (found,) = bd_rate_forecasts(study, study.trials).values()
    assert found.mean == pytest.approx(4.0, abs=1e-3)
    assert found.stdev < 0.1


def test_the_last_rung_counts_and_rungs_do_not_mix() -> None:
    ended = [complete(float(n), at10=n + 4.0, at20=n + 1.0) for n in range(MIN_PAIRS)]
    study = study_of([*ended, paused(at10=5.0), paused(at10=9.0, at20=5.0)])
    first, second = bd_rate_forecasts(study, study.trials).values()
    assert first.mean == pytest.approx(1.0, abs=1e-2)
    assert second.mean == pytest.approx(4.0, abs=1e-2)


def test_stopped_trials_are_foreseen_and_are_no_rivals() -> None:
    study = study_of([complete(-1.0, 30.0), paused(20.0, TrialState.PRUNED, at10=2.0)])
    assert expected_objectives(study, study.trials) == {1: [2.0, 20.0]}
    assert forecasts(study, study.trials) == {0: Forecast(NormalDist(-1, 0), [30.0])}


def test_only_those_that_cost_no_more_are_rivals() -> None:
    others = [Forecast(NormalDist(-5, 0), [100.0]), Forecast(NormalDist(0, 0), [50.0])]

    def may_join(rate: float, ms: float) -> bool:
        return Forecast(NormalDist(rate, 0.1), [ms]).may_join(others)

    assert not may_join(1.0, 50.0)
    assert not may_join(1.0, 120.0)
    assert may_join(1.0, 49.0)
    assert may_join(-2.0, 99.0)
    assert not may_join(-2.0, 100.0)


@pytest.mark.parametrize("own", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("other", [0.0, 2.0])
def test_the_spread_decides_between_the_doubtful(own: float, other: float) -> None:
    """A rate this much above its rival is better than it with probability `MIN_PROBABILITY`."""
    bound = -NormalDist().inv_cdf(MIN_PROBABILITY) * math.hypot(own, other)
    rival = Forecast(NormalDist(0, other), [])
    assert Forecast(NormalDist(0.99 * bound, own), []).may_join([rival])
    assert not Forecast(NormalDist(1.01 * bound, own), []).may_join([rival])


def test_none_is_hopeless_while_nobody_knows_the_spread() -> None:
    assert Forecast(NormalDist(1e3, math.inf), []).may_join([Forecast(NormalDist(0, 0), [])])


def test_one_in_reduction_goes_on_from_each_rung() -> None:
    waiting = [paused(at10=0.0) for _ in range(REDUCTION - 1)]
    for n, trials in enumerate([waiting, [*waiting, paused(at10=0.0)]]):
        numbers = dict.fromkeys(range(len(trials)), 10)
        assert bool(due(study_of(trials).trials, numbers)) == bool(n)
    # One that went on counts, whether it ended, runs, or was stopped at a later rung.
    for other in (
        complete(0.0, at10=0.0),
        paused(at10=0.0),
        paused(state=TrialState.PRUNED, at10=0.0, at20=0.0),
    ):
        for stopped, expected in ((REDUCTION - 1, False), (REDUCTION, True)):
            ended = [paused(state=TrialState.PRUNED, at10=0.0)] * stopped
            study = study_of([*waiting, other, *ended])
            assert bool(due(study.trials, dict.fromkeys(range(len(waiting)), 10))) == expected


def test_the_last_rung_that_is_due_goes_first() -> None:
    early = [paused(at10=0.0)] * (2 * REDUCTION)
    late = [paused(at10=0.0, at20=0.0)] * REDUCTION
    study = study_of([*early, *late])
    at = dict.fromkeys(range(len(early)), 10) | {len(early) + n: 20 for n in range(len(late))}
    assert due(study.trials, at) == [n for n, steps in at.items() if steps == 20]
    del at[len(early)]
    assert due(study.trials, at) == []


def test_what_adds_most_goes_first() -> None:
    others = [Forecast(NormalDist(0, 0), [10.0]), Forecast(NormalDist(-10, 0), [1000.0])]
    waiting = {
        3: Forecast(NormalDist(-9, 0.1), [900.0]),
        5: Forecast(NormalDist(-6, 0.1), [100.0]),
        7: Forecast(NormalDist(1, 0.1), [100.0]),
    }
    assert most_promising(waiting, others) == 5
    # A wide spread may promise more than a better mean.
    waiting[7] = Forecast(NormalDist(1, 30), [100.0])
    assert most_promising(waiting, others) == 7


def test_at_one_objective_the_best_mean_goes_first() -> None:
    waiting = {n: Forecast(NormalDist(rate, 0.1), []) for n, rate in enumerate([2.0, -1.0, 0.5])}
    assert most_promising(waiting, []) == 1
    assert most_promising(waiting, [Forecast(NormalDist(-0.5, 0), [])]) == 1
