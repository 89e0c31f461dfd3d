"""Coordinates of parameters, against what distances should be."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.sampler.encoding import Encoding, FactorizedTable

SPACE = {
    "width": CategoricalDistribution([10, 1000, 20]),
    "depth": IntDistribution(0, 8, step=2),
    "rate": FloatDistribution(0.01, 1.0, log=True),
    "context": CategoricalDistribution(["a", "b", "c"]),
}
COLUMNS: dict[str, list[Any]] = {
    "width": [10, 1000, 20],
    "depth": [0, 8, 2],
    "rate": [0.01, 1.0, 0.1],
    "context": ["a", "b", "c"],
}
GRID = pd.DataFrame(itertools.product(*COLUMNS.values()), columns=list(COLUMNS))


def encoded(table: pd.DataFrame) -> Encoding:
    return Encoding(FactorizedTable(table), SPACE)


@pytest.mark.parametrize(
    ("number", "expected"), [(0, [0, 1, 0.5]), (1, [0, 1, 0.25]), (2, [0, 1, 0.5])]
)
def test_numbers_lie_in_their_distribution(number: int, expected: list[float]) -> None:
    encoding = encoded(pd.DataFrame(COLUMNS))
    found = encoding.points[:, encoding.owner == number].flatten()
    assert found.tolist() == pytest.approx(expected)


def test_choices_that_are_no_numbers_are_equally_far_apart() -> None:
    encoding = encoded(pd.DataFrame(COLUMNS))
    choices = encoding.points[:, encoding.owner == 3]
    apart = (choices[:, None] - choices[None]).square().sum(dim=-1)
    assert np.allclose(apart, (1 - np.eye(3)) / 2)


@given(rows=st.lists(st.integers(0, len(GRID) - 1), min_size=1, max_size=20))
def test_coordinates_do_not_depend_on_what_else_is_in_the_table(rows: list[int]) -> None:
    part = encoded(GRID.iloc[rows])
    assert (part.points == encoded(GRID).points[rows]).all()


def test_halves_are_the_table() -> None:
    encoding = encoded(GRID)
    assert encoding.halves
    for half in encoding.halves:
        assert len(half.points) < len(GRID) / 2
        assert (half.points[half.rows] == encoding.points[:, half.coordinates]).all()


def test_a_sparse_table_has_no_halves() -> None:
    assert encoded(GRID.iloc[::20]).halves is None


def test_stages_are_columns_of_the_table() -> None:
    stages = {"width": "chain", "rate": "chain"}
    encoding = Encoding(FactorizedTable(GRID), SPACE, stages)
    assert [encoding.owner[part.coordinates].unique().tolist() for part in encoding.stages] == [
        [0, 2],
        [1],
        [3],
    ]
    assert [len(part.points) for part in encoding.stages] == [9, 3, 3]
    for part in encoding.stages:
        assert (part.points[part.rows] == encoding.points[:, part.coordinates]).all()


def test_parameters_without_a_stage_are_one_each() -> None:
    assert len(encoded(GRID).stages) == len(SPACE)
