"""Which candidates are stopped, and what is expected of them."""

from statistics import NormalDist

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial

from search.rungs import DOUBT, LEAST_PAIRS, RUNG_RATES, forecast, may_join


def study_of(values: list[tuple[float, ...]], early: list[float] | None = None) -> optuna.Study:
    """Complete trials of these values, and at step 10 of these rates."""
    study = optuna.create_study(directions=["minimize"] * len(values[0]))
    for n, value in enumerate(values):
        attrs = {RUNG_RATES: {"10": early[n]}} if early else {}
        study.add_trial(create_trial(values=value, user_attrs=attrs))
    return study


@pytest.mark.parametrize(("slope", "noise"), [(1.0, 0.3), (0.6, 0.3), (1.0, 2.0)])
def test_forecasts_are_calibrated(slope: float, noise: float) -> None:
    """Of candidates that follow a line with noise, nine in ten end within the interval."""
    rng = np.random.default_rng(0)
    early = rng.normal(0, 5, size=1030)
    full = slope * early - 3 + rng.normal(0, noise, size=len(early))
    study = study_of([(value, 1.0) for value in full[:30]], early[:30].tolist())
    found = [forecast(study, 10, rate) for rate in early[30:]]
    inside = [
        expected is not None and abs(value - expected.mean) < 1.645 * expected.stdev
        for expected, value in zip(found, full[30:], strict=True)
    ]
    assert 0.85 < np.mean(inside) < 0.95


def test_a_few_say_nothing() -> None:
    values = [(float(n), 1.0) for n in range(LEAST_PAIRS)]
    early = [n + 1.0 for n in range(LEAST_PAIRS)]
    assert forecast(study_of(values[1:], early[1:]), 10, 0.0) is None
    assert forecast(study_of(values, early), 20, 0.0) is None
    assert forecast(study_of(values, early), 10, 0.0) is not None


def test_only_those_that_cost_no_more_are_rivals() -> None:
    study = study_of([(-5.0, 100.0), (0.0, 50.0)])
    study.add_trial(create_trial(state=TrialState.FAIL))
    worse = NormalDist(1.0, 0.1)
    assert not may_join(study, worse, [50.0])
    assert not may_join(study, worse, [120.0])
    assert may_join(study, worse, [49.0])
    between = NormalDist(-2.0, 0.1)
    assert may_join(study, between, [99.0])
    assert not may_join(study, between, [100.0])


def test_the_spread_decides_between_the_doubtful() -> None:
    """A rate this much above its rival is better than it with probability `DOUBT`."""
    study = study_of([(0.0,)])
    bound = -NormalDist().inv_cdf(DOUBT)
    for deviation in (0.1, 1.0, 10.0):
        assert may_join(study, NormalDist(0.99 * bound * deviation, deviation), [])
        assert not may_join(study, NormalDist(1.01 * bound * deviation, deviation), [])
