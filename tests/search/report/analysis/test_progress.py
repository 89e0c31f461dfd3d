import json
from dataclasses import asdict

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.report.analysis.progress import progress_curve, reached_after_each, running_hours
from search.study.goal import Band, Front

RANGES = {"bd_rate_percent": None, "decode_ms": (1.0, 20.0), "size_mb": (1.0, 20.0)}
START = pd.Timestamp("2026-01-01 12:00")


def trials_of(minutes: list[tuple[float, float]], rates: list[float | None]) -> pd.DataFrame:
    """Trials that ran between two times, in minutes, with BD-rates at one decode time."""
    started, finished = (
        [START + pd.Timedelta(minutes=time) for time in ends] for ends in zip(*minutes, strict=True)
    )
    return pd.DataFrame(
        {
            "started": started, "finished": finished,
            "bd_rate_percent": pd.Series(rates, dtype=float), "decode_ms": 2.0,
        }
    )  # fmt: skip


@pytest.mark.parametrize("objectives", [2, 3])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_hypervolume_is_that_of_all_trials_so_far(objectives: int, data: st.DataObject) -> None:
    point = st.tuples(*[st.integers(1, 9)] * objectives)
    points = data.draw(st.lists(point, min_size=1, max_size=15))
    names = list(RANGES)[:objectives]
    done = pd.DataFrame(points, columns=names, dtype=float)
    goal = Front({name: RANGES[name] for name in names})
    naive = [goal.reached(done.iloc[:n]) for n in range(1, len(done) + 1)]
    assert reached_after_each(done, goal) == pytest.approx(naive)


def test_only_trials_that_join_the_front_cost_a_hypervolume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = []
    measured = Front.reached

    def counted(goal: Front, done: pd.DataFrame) -> float:
        sizes.append(len(done))
        return measured(goal, done)

    monkeypatch.setattr(Front, "reached", counted)
    points = [(5, 5), (6, 6), (5, 5), (4, 6), (6, 5), (3, 3), (4, 4)]
    done = pd.DataFrame(points, columns=["bd_rate_percent", "decode_ms"], dtype=float)
    reached_after_each(done, Front(dict(list(RANGES.items())[:2])))
    assert sizes == [1, 2, 1]


def test_a_band_reaches_its_lowest_bd_rate() -> None:
    done = pd.DataFrame({"bd_rate_percent": [3.0, 5.0, 3.0, -1.0, 0.0]})
    assert reached_after_each(done, Band(20.0, 0.05)) == [3.0, 3.0, 3.0, -1.0, -1.0]


def test_pauses_between_sessions_do_not_count() -> None:
    # Two workers until minute 30, a pause until minute 100, and two workers again.
    trials = trials_of(
        [(0, 10), (0, 20), (10, 15), (15, 30), (100, 110), (100, 125)], [5, 4, 3, 2, 1, 0]
    )
    hours = running_hours(trials, trials["finished"])
    assert hours.tolist() == pytest.approx([10 / 60, 20 / 60, 15 / 60, 30 / 60, 40 / 60, 55 / 60])


def test_a_curve_begins_with_the_first_evaluation_and_is_in_order_of_ends() -> None:
    # The reference has no duration. A trial that failed kept the run busy from minute 60 to 90.
    trials = trials_of([(0, 0), (0, 60), (0, 30), (60, 90), (90, 120)], [0, 7, -3, None, -4])
    curve = progress_curve(trials, Band(20.0, 0.05))
    assert curve.hours == pytest.approx([0.0, 0.5, 1.0, 2.0])
    assert curve.reached == [0.0, -3.0, -3.0, -4.0]
    json.dumps(asdict(curve), allow_nan=False)
