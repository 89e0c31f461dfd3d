import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import mean_absolute_percentage_error

from latency_predictor.crossval import interval_factor
from latency_predictor.metrics import score, score_by

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
        "kendall_tau": None, "coverage": None,
    }  # fmt: skip


def test_groups_are_scored_apart() -> None:
    groups = score_by(["b", "a", "b", "a"], PREDICTED, TRUE, PREDICTED, PREDICTED)
    assert list(groups) == ["a", "b"]
    assert groups["a"]["n"] == 2
    assert groups["b"]["mape"] == pytest.approx((0.04 + 0.25) / 2, abs=1e-4)


def test_intervals_cover_what_they_promise() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        errors = rng.normal(0, 0.2, 101)
        factor = interval_factor(np.exp(errors[:-1]), np.ones(100))
        covered.append(abs(errors[-1]) <= np.log(factor))
    assert 0.85 < np.mean(covered) < 0.95
