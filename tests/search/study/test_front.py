import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.study.front import front_of, hypervolume

points = st.lists(
    st.tuples(st.floats(10, 100), st.floats(-90, 150)), min_size=1, max_size=12, unique=True
)


def frame(rows: list[tuple[float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["decode_ms", "bd_rate_percent"])


@given(points)
def test_the_front_is_what_nothing_dominates(rows: list[tuple[float, float]]) -> None:
    def dominated(p: tuple[float, float]) -> bool:
        return any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in rows)

    expected = sorted(p for p in rows if not dominated(p))
    found = list(front_of(frame(rows)).itertuples(index=False, name=None))
    assert found == expected


def test_hypervolume_of_known_points() -> None:
    assert hypervolume(np.empty((0, 2)), 10, 100) == 0
    assert hypervolume(np.array([[10.0, -100.0]]), 10, 100) == pytest.approx(1)
    assert hypervolume(np.array([[100.0, 0.0]]), 10, 100) == 0
    middle = np.array([[10 * 10**0.5, 0.0]])
    assert hypervolume(middle, 10, 100) == pytest.approx(0.25)


@given(points)
def test_hypervolume_is_that_of_the_front_and_grows(rows: list[tuple[float, float]]) -> None:
    every = np.array(rows)
    front = front_of(frame(rows)).to_numpy(float)
    volume = hypervolume(every, 10, 100)
    assert volume == pytest.approx(hypervolume(front, 10, 100))
    assert hypervolume(every[:-1], 10, 100) <= volume + 1e-12


def test_a_box_of_one_latency_has_the_rate_left() -> None:
    assert hypervolume(np.array([[20.0, 0.0]]), 20, 20) == pytest.approx(0.5)
