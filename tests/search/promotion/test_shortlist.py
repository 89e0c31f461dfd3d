from dataclasses import replace
from pathlib import Path

import moocore
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.config.schema import ConfigError
from search.promotion.shortlist import Selection, by_front, chosen, knee_of, trials_of
from search.study.front import front_of
from search.study.objectives import PAIR
from search.study.records import RunRecord

REFERENCE = Path(__file__).parents[3] / "results/reference"


@pytest.fixture(scope="module")
def trials() -> pd.DataFrame:
    return trials_of(REFERENCE)


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return RunRecord.read(REFERENCE)


def outcomes(points: list[tuple[float, float]]) -> pd.DataFrame:
    table = pd.DataFrame(points, columns=["decode_ms", "bd_rate_percent"])
    return table.assign(id=[str(i) for i in range(len(points))])


POINTS = st.lists(
    st.tuples(st.integers(1, 9).map(float), st.integers(-9, 9).map(float)), min_size=1, max_size=12
)


@given(POINTS)
def test_no_candidate_comes_before_one_that_dominates_it(points: list[tuple[float, float]]) -> None:
    order = by_front(outcomes(points), PAIR)[["decode_ms", "bd_rate_percent"]].to_numpy()
    assert len(order) == len(points)
    for i, first in enumerate(order):
        for later in order[i + 1 :]:
            assert not ((later <= first).all() and (later < first).any())


def test_the_knee_is_where_a_bent_front_bends() -> None:
    # On a logarithmic axis the points stand at 0, 1, 2, 3.
    front = outcomes([(1.0, 9.0), (np.e, 1.0), (np.e**2, 0.5), (np.e**3, 0.0)])
    assert knee_of(front, PAIR)["id"].tolist() == ["1"]
    assert knee_of(front.head(2), PAIR)["id"].tolist() == ["1"]


@given(POINTS)
def test_the_knee_of_two_objectives_is_farthest_below_the_line_between_the_ends(
    points: list[tuple[float, float]],
) -> None:
    front = front_of(outcomes(points), PAIR)
    ms, rate = np.log(front["decode_ms"].to_numpy()), front["bd_rate_percent"].to_numpy()
    below = np.interp(ms, ms[[0, -1]], rate[[0, -1]]) - rate
    found = front["id"].tolist().index(knee_of(front, PAIR)["id"].item())
    assert below[found] == pytest.approx(below.max())


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-9, 9), st.integers(1, 9), st.integers(1, 9)),
        min_size=3, max_size=12, unique=True,
    )
)  # fmt: skip
def test_the_knee_of_three_objectives_is_farthest_below_the_plane_of_the_extremes(
    rows: list[tuple[int, int, int]],
) -> None:
    names = ["bd_rate_percent", "decode_ms", "size_mb"]
    table = pd.DataFrame(rows, columns=names, dtype=float)
    front = front_of(table.assign(id=[str(n) for n in table.index]), names)
    values = front[names].to_numpy(copy=True)
    values[:, 1:] = np.log(values[:, 1:])
    low, high = values.min(axis=0), values.max(axis=0)
    if len(front) < 3 or (low == high).any():
        return
    # Each corner is worst in one objective and best in the others.
    corners = low + np.diag(high - low)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    below = (corners[0] - values) @ normal / ((corners[0] - low) @ normal)
    found = front["id"].tolist().index(knee_of(front, names)["id"].item())
    assert below[found] == pytest.approx(below.max())


def test_an_objective_that_is_the_same_for_all_does_not_move_the_knee() -> None:
    front = outcomes([(1.0, 9.0), (np.e, 1.0), (np.e**2, 0.5), (np.e**3, 0.0)]).assign(size_mb=3.0)
    assert knee_of(front, [*PAIR, "size_mb"])["id"].tolist() == ["1"]


def test_selections_add_up_and_name_each_candidate_once(
    trials: pd.DataFrame, record: RunRecord
) -> None:
    done = trials[trials["bd_rate_percent"].notna()]
    best = done.loc[done["bd_rate_percent"].idxmin(), "id"]
    asked = Selection(ids=(best,), best_under_ms=1e9, shortlist=3)
    found = chosen(asked, trials, record)
    assert found["id"].tolist()[0] == best
    assert found["id"].is_unique
    assert len(found) == 3
    under = chosen(Selection(best_under_ms=50), trials, record)
    assert under["decode_ms"].item() <= 50
    fast = done[done["decode_ms"] <= 50]
    assert under["bd_rate_percent"].item() == fast["bd_rate_percent"].min()


def test_the_time_may_include_entropy_coding(trials: pd.DataFrame, record: RunRecord) -> None:
    slow = trials.assign(decode_total_ms=trials["decode_ms"] + 30)
    under = chosen(Selection(best_under_ms=80, end_to_end=True), slow, record)
    assert under["id"].item() == chosen(Selection(best_under_ms=50), slow, record)["id"].item()


def test_of_other_objectives_the_front_is_theirs_and_the_time_that_of_decoding(
    trials: pd.DataFrame, record: RunRecord
) -> None:
    objectives: dict[str, list[float] | None] = {"bd_rate_percent": None, "encode_ms": [1.0, 1e3]}
    other = replace(record, objectives=objectives | {"size_mb": [1.0, 99.0]})
    done = trials[trials["bd_rate_percent"].notna()]
    values = done[list(other.goal.objectives)].to_numpy()
    best = done[moocore.is_nondominated(values)]
    assert set(chosen(Selection(shortlist=len(best)), trials, other)["id"]) == set(best["id"])
    assert chosen(Selection(knee=True), trials, other)["id"].item() in set(best["id"])
    under = Selection(best_under_ms=50)
    assert chosen(under, trials, other).equals(chosen(under, trials, record))


def test_of_a_band_the_best_rates_are_the_shortlist(
    trials: pd.DataFrame, record: RunRecord
) -> None:
    band = replace(record, band={"target_ms": 60.0, "tolerance": 0.5})
    found = chosen(Selection(shortlist=5), trials, band)["bd_rate_percent"]
    assert found.tolist() == sorted(trials["bd_rate_percent"].dropna())[:5]


def test_what_is_not_there_is_said(trials: pd.DataFrame, record: RunRecord) -> None:
    with pytest.raises(ConfigError, match=r"no candidate 'nope'; .* are \w+, \w+, \w+$"):
        chosen(Selection(ids=("nope",)), trials, record)
    with pytest.raises(ConfigError, match=r"--best-under-ms 1: expected .* \d+\.\d ms"):
        chosen(Selection(best_under_ms=1), trials, record)
    with pytest.raises(ConfigError, match="run 'reference' has no candidate with a BD-rate"):
        chosen(Selection(knee=True), trials.assign(bd_rate_percent=np.nan), record)
