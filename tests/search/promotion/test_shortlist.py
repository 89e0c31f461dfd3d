from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config.schema import ConfigError
from search.promotion.shortlist import Selection, by_front, chosen, knee_of, trials_of
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
    order = by_front(outcomes(points))[["decode_ms", "bd_rate_percent"]].to_numpy()
    assert len(order) == len(points)
    for i, first in enumerate(order):
        for later in order[i + 1 :]:
            assert not ((later <= first).all() and (later < first).any())


def test_the_knee_is_where_a_bent_front_bends() -> None:
    # On a logarithmic axis the points stand at 0, 1, 2, 3.
    front = outcomes([(1.0, 9.0), (np.e, 1.0), (np.e**2, 0.5), (np.e**3, 0.0)])
    assert knee_of(front)["id"].tolist() == ["1"]
    assert knee_of(front.head(2))["id"].tolist() == ["1"]


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
