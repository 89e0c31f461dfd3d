import numpy as np
import pandas as pd
import pytest

from search.human_study.analysis.scale import bd_rates, differences, elo_draws, elo_table, number
from search.human_study.population import Answers, Population

TABLE = pd.DataFrame(
    [
        (f"{codec} {rate:g}", codec, rate, factor * rate)
        for codec, factor in (("jpeg", 1.0), ("avif", 0.5))
        for rate in (0.25, 0.5, 1.0, 2.0)
    ],
    columns=["condition", "codec", "target_bpp", "bpp"],
)
RISING = np.array([1200.0, 1400, 1600, 1800] * 2)


def test_half_the_bits_for_the_same_elo_is_a_bd_rate_of_minus_50() -> None:
    draws = RISING + np.random.default_rng(0).normal(0, 20, (300, 8))
    row = bd_rates(draws, TABLE).iloc[0]
    assert (row["codec"], row["reference"]) == ("avif", "jpeg")
    assert row["percent"] == pytest.approx(-50, abs=2)
    assert -60 < row["low"] < row["percent"] < row["high"] < -40


def test_curves_that_share_no_elo_have_no_bd_rate() -> None:
    draws = np.tile(np.r_[RISING[:4], RISING[4:] + 5000], (10, 1))
    row = bd_rates(draws, TABLE).iloc[0]
    assert np.isnan(row["percent"])
    assert "share 0%" in row["why_not"]


def test_a_draw_that_falls_is_replaced_by_the_nearest_that_rises() -> None:
    fallen = np.tile(np.r_[[1200.0, 1500, 1500, 1800], RISING[4:]], (10, 1))
    fallen[:, 1] += 1
    row = bd_rates(fallen, TABLE).iloc[0]
    assert row["why_not"] == ""
    assert row["low"] == pytest.approx(row["percent"])


def test_differences_are_between_codecs_at_equal_target() -> None:
    table = differences(np.tile(np.r_[RISING[:4], RISING[4:] + 30], (10, 1)), TABLE)
    assert table["target_bpp"].tolist() == [0.25, 0.5, 1.0, 2.0]
    assert table["elo"].tolist() == [30.0] * 4
    assert set(table["probability"]) == {1.0}


def test_elo_is_centred_and_answers_are_counted() -> None:
    population = Population(np.array([[0.0, 1.0], [1.0, 2.0]]), {}, np.zeros(2))
    draws = elo_draws(population)
    half = 200 / np.log(10)
    assert draws == pytest.approx(np.tile([1500 - half, 1500 + half], (2, 1)))
    one = np.array([0])
    answers = Answers(one, one + 1, np.array([1.0]), one, one)
    assert elo_table(draws, TABLE[:2], answers)["answers"].tolist() == [1, 1]


def test_repeats_and_catch_trials_are_no_comparisons() -> None:
    answers = pd.DataFrame(
        {
            "participant": "a",
            "picture": ["sea", "city", "sea", "sea"],
            "first": ["jpeg 1", "avif 2", "avif 1", "original"],
            "second": ["avif 1", "jpeg 1", "jpeg 1", "catch"],
            "preferred": [1.0, 1.0, 0.0, 1.0],
            "kind": ["comparison"] * 3 + ["catch"],
            "repeat_of": pd.array([pd.NA, pd.NA, 0, pd.NA], dtype="Int64"),
        }
    )
    numbered = number(answers, TABLE)
    assert numbered.first.tolist() == [2, 7]
    assert numbered.second.tolist() == [6, 2]
    assert numbered.picture.tolist() == [0, 1]
