"""Points of a pool by row, and rows by point."""

import itertools

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution

from search.sampler.candidates import Candidates

SPACE = {
    "width": CategoricalDistribution([16, 32, 64]),
    "gated": CategoricalDistribution([False, True]),
    "kind": CategoricalDistribution(["a", "b", "c"]),
}
GRID = pd.DataFrame(itertools.product(*(d.choices for d in SPACE.values())), columns=list(SPACE))
ROWS = st.integers(0, len(GRID) - 1)


@given(chosen=st.lists(ROWS, min_size=1, unique=True), asked=st.lists(ROWS))
def test_points_are_found_in_the_rows_that_they_have(chosen: list[int], asked: list[int]) -> None:
    pool = Candidates(GRID.iloc[chosen], {}, SPACE)
    points = GRID.iloc[asked].to_dict("records")
    expected = [chosen.index(row) if row in chosen else -1 for row in asked]
    assert pool.rows(points).tolist() == expected
    assert pool.rows(pool.point(row) for row in range(len(chosen))).tolist() == [*range(len(pool))]


def test_a_point_without_a_parameter_or_with_an_unknown_value_is_in_no_row() -> None:
    pool = Candidates(GRID, {}, SPACE)
    whole = pool.point(0)
    assert pool.rows([{}, whole | {"kind": "d"}, whole]).tolist() == [-1, -1, 0]


def test_values_are_those_of_python_and_columns_may_be_categories() -> None:
    for table in (GRID, GRID.astype("category")):
        point = Candidates(table, {}, SPACE).point(1)
        assert point == {"width": 16, "gated": False, "kind": "b"}
        assert [type(value) for value in point.values()] == [int, bool, str]


def test_rows_by_the_first_known_cost() -> None:
    pool = Candidates(GRID.head(3), {2: np.array([3.0, 1.0, 2.0]), 0: np.zeros(3)}, SPACE)
    assert pool.by_cost.tolist() == [1, 2, 0]
