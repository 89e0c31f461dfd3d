from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
METRIC_NOISE = 0.02


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def people() -> Any:
    from human_agreement import People

    return People.of(pd.read_csv(BENCHMARKS / "human_metrics.csv"))


def pictures_like(people: Any, quality: np.ndarray) -> np.ndarray:
    """Qualities [pictures, settings] whose mean is close to the given one."""
    noise = np.random.default_rng(0).normal(0, METRIC_NOISE, (12, 1))
    return quality + noise


def test_a_rising_function_of_elo_agrees_with_it(people: Any) -> None:
    from human_agreement import with_intervals

    found = with_intervals(people, pictures_like(people, np.log(people.elo)))
    for name in ("spearman", "kendall", "equal_rate", "equal_rate_clear"):
        assert found[name].value == 1
        assert 0.9 < found[name].low <= found[name].high <= 1
    assert found["pearson"].value > 0.99


def test_a_falling_function_of_elo_disagrees_with_it(people: Any) -> None:
    from human_agreement import coefficients

    found = coefficients(people, people.elo, -people.elo)
    assert found["spearman"] == pytest.approx(-1)
    assert found["equal_rate"] == 0


def test_a_metric_that_equals_elo_has_elos_bd_rates(people: Any) -> None:
    from human_agreement import bd_rate_by_elo, bd_rate_by_metric

    quality = pictures_like(people, people.elo)
    bpp = np.tile(people.bpp, (len(quality), 1))
    for pair in people.codec_pairs():
        by_elo = bd_rate_by_elo(people, *pair)
        assert by_elo.low < by_elo.percent < by_elo.high
        found = bd_rate_by_metric(people, bpp, quality, *pair)
        assert found.percent == pytest.approx(by_elo.percent, abs=0.01)


def test_the_fit_finds_weights_and_keeps_them_positive(people: Any) -> None:
    from human_fitted import fit

    random = np.random.default_rng(0)
    quality = np.column_stack([people.elo / 100, random.normal(size=len(people.elo))])
    truth = 3 * quality[:, 0] - 0.5 * quality[:, 1] + 7
    score = fit(quality, truth, people.error)
    assert score.weights[0] == pytest.approx(3, abs=0.1)
    assert score.weights[1] == 0


def test_a_held_out_encoder_is_not_learnt_from(people: Any) -> None:
    from human_fitted import held_out

    wrong_for_jpegli = np.array([codec.startswith("jpegli") for codec in people.codec])
    quality = np.where(wrong_for_jpegli, people.elo - 500, people.elo)
    stacked = pictures_like(people, quality)[..., None]
    bpp = np.tile(people.bpp, (len(stacked), 1))
    errors = held_out(people, bpp, stacked, {"one": [0]})
    rmse = errors.groupby("encoder")["rmse"].mean()
    assert rmse["jpegli"] == pytest.approx(500, rel=0.05)
    assert len(errors) == 9
