import numpy as np
import pandas as pd
import pytest

from search.human_study.analysis.agreement import agreement

CONDITIONS = pd.DataFrame(
    [
        ("a 1", "a", 1.0, 1.0),
        ("b 1", "b", 1.0, 1.0),
        ("a 2", "a", 2.0, 2.0),
        ("b 2", "b", 2.0, 2.0),
    ],
    columns=["condition", "codec", "target_bpp", "bpp"],
)
ELO = np.tile([1200.0, 1400, 1600, 1800], (5, 1))


def scores(**metrics: list[float]) -> pd.DataFrame:
    """Scores of the four conditions in each of two pictures."""
    table = pd.DataFrame(
        {"picture": ["sea"] * 4 + ["city"] * 4, "condition": [*CONDITIONS["condition"]] * 2}
    )
    return table.assign(**{name: values * 2 for name, values in metrics.items()})


def answers(*rows: tuple[str, str, float]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["first", "second", "preferred"])
    return table.assign(picture="sea", participant="p", kind="comparison", repeat_of=pd.NA)


ASKED = answers(("a 1", "b 1", 0.0), ("a 2", "b 2", 1.0), ("a 1", "b 2", 0.0))


def test_a_metric_can_be_right_over_all_and_wrong_at_equal_rate() -> None:
    table = agreement(
        scores(right=[1.0, 2.0, 3.0, 4.0], rate=[2.0, 1.0, 4.0, 3.0]), ELO, CONDITIONS, ASKED
    ).set_index("metric")
    assert table.loc["right", ["kendall", "spearman", "equal_rate"]].tolist() == [1.0, 1.0, 1.0]
    assert table.loc["rate", "kendall"] == pytest.approx(2 / 6)
    assert table.loc["rate", "equal_rate"] == -1.0


def test_single_answers_are_held_to_scores_in_their_picture() -> None:
    table = agreement(scores(right=[1.0, 2.0, 3.0, 4.0]), ELO, CONDITIONS, ASKED)
    assert table["answers"].tolist() == [pytest.approx(2 / 3)]
    assert table["answers_equal_rate"].tolist() == [0.5]


def test_a_metric_that_sees_no_difference_agrees_with_half_of_the_answers() -> None:
    table = agreement(scores(flat=[1.0, 1.0, 1.0, 2.0]), ELO, CONDITIONS, ASKED[:1])
    assert table["answers"].tolist() == [0.5]


def test_draws_that_disagree_widen_the_interval() -> None:
    draws = np.vstack([ELO, ELO[:, [1, 0, 3, 2]]])
    row = agreement(scores(right=[1.0, 2.0, 3.0, 4.0]), draws, CONDITIONS, ASKED).iloc[0]
    assert (row["equal_rate_low"], row["equal_rate_high"]) == (-1.0, 1.0)
