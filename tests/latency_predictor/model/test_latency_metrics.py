import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import mean_absolute_percentage_error

from latency_predictor.model.interval import (
    MISFIT_SPREAD,
    NOISE,
    Interval,
    pooled_quantile,
    ratio_spread,
)
from latency_predictor.model.metrics import score, score_by
from latency_predictor.model.times import Difference, Estimate

TRUE = np.array([1.0, 2.0, 4.0, 5.0])
PREDICTED = np.array([1.04, 2.18, 3.0, 5.5])


def test_scores_against_scipy_and_sklearn() -> None:
    result = score(PREDICTED, TRUE, PREDICTED / 1.1, PREDICTED * 1.1)
    assert result["n"] == 4
    assert result["mape"] == pytest.approx(
        mean_absolute_percentage_error(TRUE, PREDICTED), abs=1e-4
    )
    assert result["kendall_tau"] == pytest.approx(kendalltau(TRUE, PREDICTED).statistic, abs=1e-4)
    assert result["within_5"] == 0.25
    assert result["within_10"] == 0.75
    assert result["coverage"] == 0.75


def test_few_rows_have_no_ranking() -> None:
    assert score(*[np.array([1.0])] * 4)["kendall_tau"] is None
    assert score(*[np.array([])] * 4) == {
        "n": 0, "mape": None, "within_5": None, "within_10": None,
        "kendall_tau": None, "coverage": None, "log_width": None, "interval_score": None,
    }  # fmt: skip


def test_interval_scores_charge_width_and_misses() -> None:
    e = np.exp(1)
    found = score(np.ones(2), np.array([1.0, e**1.5]), np.full(2, 1 / e), np.full(2, e))
    assert found["log_width"] == 2
    assert found["interval_score"] == pytest.approx(2 + 20 * 0.5 / 2)


def test_every_group_counts_once_in_the_quantile() -> None:
    """One laboratory with many rows and small errors does not hide the errors of nine others."""
    groups = np.repeat(np.arange(10), [1000, *[10] * 9])
    scores = np.where(groups == 0, 0.1, 1.0 + groups / 10)
    assert pooled_quantile(scores, np.arange(len(scores)), 0.9) < 1
    assert pooled_quantile(scores, groups, 0.9) == pytest.approx(1.8)
    assert pooled_quantile(scores, groups, 0.9 * 11 / 10) == pytest.approx(1.9)


def test_groups_are_scored_apart() -> None:
    groups = score_by(["b", "a", "b", "a"], PREDICTED, TRUE, PREDICTED, PREDICTED)
    assert list(groups) == ["a", "b"]
    assert groups["a"]["n"] == 2
    assert groups["b"]["mape"] == pytest.approx((0.04 + 0.25) / 2, abs=1e-4)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_intervals_cover_what_they_promise_however_wrong_the_spread(scale: float) -> None:
    """Programs with a large `epistemic_std` are covered as often as the others."""
    rng, noise = np.random.default_rng(0), np.hypot(NOISE, MISFIT_SPREAD)
    covered, epistemic_stds = [], []
    for _ in range(400):
        epistemic_std = rng.choice([0.0, 0.3], 101)
        errors = rng.normal(0, scale * np.hypot(epistemic_std, noise))
        seen = Estimate(np.exp(errors[:-1]), epistemic_std[:-1], np.zeros(100))
        interval = Interval.of(seen, np.ones(100), np.arange(100), new_source=False)
        factor = interval.factor(Estimate(np.exp(errors[-1:]), epistemic_std[-1:], np.zeros(1)))
        covered.append(abs(errors[-1]) <= np.log(factor[0]))
        epistemic_stds.append(epistemic_std[-1])
    assert 0.86 < np.mean(covered) < 0.94
    for epistemic_std in (0.0, 0.3):
        assert 0.83 < np.mean(np.array(covered)[np.array(epistemic_stds) == epistemic_std]) < 0.97


def test_likeness_narrows_the_spread_of_a_ratio() -> None:
    """Two networks of which nothing is alike share no misfit; noise remains between equals."""
    none, distance = np.zeros(3), np.array([0.0, 0.1, 9.0])
    spread = ratio_spread(Difference(none, none, distance))
    assert (np.diff(spread) > 0).all()
    assert spread[0] == pytest.approx(np.sqrt(2) * NOISE)
    assert spread[-1] == pytest.approx(np.sqrt(2) * np.hypot(NOISE, MISFIT_SPREAD))


def test_distance_counts_from_what_was_checked() -> None:
    seen = Estimate(np.ones(100), np.linspace(0, 0.1, 100), np.zeros(100))
    interval = Interval.of(seen, np.ones(100), np.arange(100), new_source=True)
    distance = interval.distance(Estimate(np.ones(2), np.array([0.05, 0.2]), np.zeros(2)))
    np.testing.assert_allclose(distance, [0.05 / 0.095, 0.2 / 0.095])
