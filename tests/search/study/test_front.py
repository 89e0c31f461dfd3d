import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.study.front import Range, front_of, hypervolume
from search.study.objectives import PAIR

COLUMNS = ["bd_rate_percent", "decode_ms", "size_mb"]
RANGES: list[Range | None] = [None, (10.0, 100.0), (2.0, 50.0)]
points = st.lists(
    st.tuples(st.floats(10, 100), st.floats(-90, 150)), min_size=1, max_size=12, unique=True
)
triples = st.lists(
    st.tuples(st.floats(-90, 150), st.floats(10, 100), st.floats(2, 50)),
    min_size=1,
    max_size=6,
    unique=True,
)


def frame(rows: list[tuple[float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["decode_ms", "bd_rate_percent"])


def of_pair(rows: np.ndarray, fastest_ms: float, slowest_ms: float) -> float:
    return hypervolume(rows, [(fastest_ms, slowest_ms), None])


def dominated(p: tuple[float, ...], rows: list[tuple[float, ...]]) -> bool:
    return any(all(a <= b for a, b in zip(q, p, strict=True)) and q != p for q in rows)


@given(points)
def test_the_front_is_what_nothing_dominates(rows: list[tuple[float, float]]) -> None:
    expected = sorted(p for p in rows if not dominated(p, list(rows)))
    found = list(front_of(frame(rows), PAIR).itertuples(index=False, name=None))
    assert found == expected


@given(triples, st.permutations(COLUMNS))
def test_the_front_of_three_objectives_in_any_order(
    rows: list[tuple[float, ...]], objectives: list[str]
) -> None:
    front = front_of(pd.DataFrame(rows, columns=COLUMNS), objectives)
    expected = {p for p in rows if not dominated(p, rows)}
    assert set(front.itertuples(index=False, name=None)) == expected
    first = next(name for name in objectives if name != "bd_rate_percent")
    assert front[first].is_monotonic_increasing


def test_a_front_of_bd_rates_alone_is_in_the_order_of_the_first() -> None:
    rows = pd.DataFrame(
        {"bd_rate_percent": [3.0, 1.0, 4.0], "bd_rate_psnr_percent": [0.0, 2.0, 5.0]}
    )
    front = front_of(rows, ["bd_rate_psnr_percent", "bd_rate_percent"])
    assert front.index.tolist() == [0, 1]


def test_hypervolume_of_known_points() -> None:
    assert of_pair(np.empty((0, 2)), 10, 100) == 0
    assert of_pair(np.array([[10.0, -100.0]]), 10, 100) == pytest.approx(1)
    assert of_pair(np.array([[100.0, 0.0]]), 10, 100) == 0
    middle = np.array([[10 * 10**0.5, 0.0]])
    assert of_pair(middle, 10, 100) == pytest.approx(0.25)


@given(points)
def test_hypervolume_is_that_of_the_front_and_grows(rows: list[tuple[float, float]]) -> None:
    every = np.array(rows)
    front = front_of(frame(rows), PAIR).to_numpy(float)
    volume = of_pair(every, 10, 100)
    assert volume == pytest.approx(of_pair(front, 10, 100))
    assert of_pair(every[:-1], 10, 100) <= volume + 1e-12


@given(triples)
def test_hypervolume_of_three_objectives_by_inclusion_and_exclusion(
    rows: list[tuple[float, ...]],
) -> None:
    """The volume of a union of boxes is the alternating sum of those of their intersections."""
    unit = [
        (
            (rate + 100) / 200,
            np.log(ms / 10) / np.log(100 / 10),
            np.log(mb / 2) / np.log(50 / 2),
        )
        for rate, ms, mb in rows
    ]
    expected = sum(
        (-1) ** (count + 1) * np.clip(1 - np.max(some, axis=0), 0, None).prod()
        for count in range(1, len(unit) + 1)
        for some in itertools.combinations(unit, count)
    )
    assert hypervolume(np.array(rows), RANGES) == pytest.approx(expected, abs=1e-9)


@given(triples, st.permutations(range(3)))
def test_hypervolume_does_not_depend_on_the_order_of_objectives(
    rows: list[tuple[float, ...]], order: list[int]
) -> None:
    values = np.array(rows)
    swapped = hypervolume(values[:, order], [RANGES[m] for m in order])
    assert swapped == pytest.approx(hypervolume(values, RANGES), abs=1e-12)


def test_a_box_of_one_latency_has_the_rate_left() -> None:
    assert of_pair(np.array([[20.0, 0.0]]), 20, 20) == pytest.approx(0.5)
