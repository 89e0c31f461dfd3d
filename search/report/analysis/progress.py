"""Progress of a run: its figure of merit after each evaluation, and over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search.study.goal import Band, Front
from search.study.records import evaluated


@dataclass(frozen=True)
class ProgressCurve:
    """The figure of merit over a run. Each list has an entry per evaluation, in order."""

    hours: list[float]
    """Hours since the first evaluation ended, without pauses (see `running_hours`)."""
    reached: list[float]
    """The goal's figure of merit: hypervolume, or the best BD-rate in percent."""


def progress_curve(trials: pd.DataFrame, goal: Front | Band) -> ProgressCurve:
    """The progress of a run over the evaluated ones of its `trials`, in order of their ends."""
    done = evaluated(trials).sort_values("finished")
    hours = running_hours(trials, done["finished"])
    return ProgressCurve((hours - hours[:1]).tolist(), reached_after_each(done, goal))


def reached_after_each(done: pd.DataFrame, goal: Front | Band) -> list[float]:
    """The goal's figure of merit after each of the evaluated trials `done`, in the table's order.

    It changes only with a trial that joins the front, so it is computed from the front alone.
    """
    objectives = done[list(goal.objectives)]
    points = objectives.to_numpy(float)
    front = np.empty(0, dtype=np.int64)
    reached: list[float] = []
    for row, point in enumerate(points):
        if (points[front] <= point).all(axis=1).any():
            reached.append(reached[-1])
            continue
        front = np.append(front[(points[front] < point).any(axis=1)], row)
        reached.append(goal.reached(objectives.iloc[front]))
    return reached


def running_hours(trials: pd.DataFrame, times: pd.Series[pd.Timestamp]) -> NDArray[np.float64]:
    """Hours [n] during which at least one of the `trials` ran, until each of n `times`.

    Pauses between the sessions of a resumed run do not count. The `times` are ends of trials.
    """
    ordered = trials.sort_values("started")
    started, ends = ordered["started"].to_numpy(), ordered["finished"].cummax().to_numpy()
    pauses = np.maximum(started[1:] - ends[:-1], np.timedelta64(0))
    before = np.append(np.timedelta64(0), pauses.cumsum())
    last_start = np.searchsorted(started, times.to_numpy(), side="right") - 1
    run = times.to_numpy() - started[0] - before[last_start]
    return run / np.timedelta64(1, "h")
