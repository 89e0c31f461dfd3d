"""Selection of the candidates of a run that are promoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import moocore
import numpy as np
import pandas as pd

from search.config.schema import ConfigError
from search.data.table_file import read_table
from search.study.folders import find_trials
from search.study.front import front_of
from search.study.objectives import BD_RATE, COSTS, PAIR, costs_first
from search.study.records import RecordError, RunRecord, evaluated


@dataclass(frozen=True)
class Selection:
    """Criteria that select candidates. A candidate is selected if it meets any criterion."""

    ids: tuple[str, ...] = ()
    """Candidates by id."""
    best_under_ms: float | None = None
    """The candidate of lowest BD-rate with at most this predicted decode time, in ms."""
    end_to_end: bool = False
    """Whether that time is `decode_total_ms`, with entropy coding, instead of `decode_ms`."""
    knee: bool = False
    """The knee of the front."""
    shortlist: int | None = None
    """Number of best candidates."""

    @property
    def empty(self) -> bool:
        """Whether no criterion is set."""
        return self == Selection()


def trials_of(folder: Path) -> pd.DataFrame:
    """The table of trials of a run. Raises RecordError if it is missing or cannot be read."""
    table = find_trials(folder)
    try:
        trials = read_table(table)
        if lacking := {"id", "architecture", BD_RATE, "decode_ms"} - set(trials):
            raise ValueError(f"it has no column {min(lacking)}")
    # pyarrow's errors are ValueErrors too.
    except (OSError, ValueError) as error:
        raise RecordError(
            f"{table} is broken: {error}; `python -m search report {folder}` writes it again"
        ) from error
    return trials


def chosen(selection: Selection, trials: pd.DataFrame, record: RunRecord) -> pd.DataFrame:
    """The selected trials without duplicates, in the order of the fields of `Selection`.

    Raises ConfigError if a criterion selects no trial.
    """
    done = evaluated(trials)
    # The knee of a band search is that of its BD-rates and decode times.
    objectives = PAIR if record.band else record.goal.objectives
    if done.empty and selection != Selection(ids=selection.ids):
        raise ConfigError(f"run '{record.name}' has no candidate with a BD-rate yet")
    parts = [_by_id(identity, trials) for identity in selection.ids]
    if selection.best_under_ms is not None:
        time = "decode_total_ms" if selection.end_to_end else "decode_ms"
        parts.append(_best_under(selection.best_under_ms, done, time))
    if selection.knee:
        parts.append(knee_of(front_of(done, objectives), objectives))
    if selection.shortlist is not None:
        # With one target decode time only the BD-rate counts; otherwise rank by fronts.
        ranked = done.sort_values(BD_RATE) if record.band else by_front(done, objectives)
        parts.append(ranked.head(selection.shortlist))
    return pd.concat(parts).drop_duplicates("id")


def by_front(done: pd.DataFrame, objectives: Sequence[str]) -> pd.DataFrame:
    """All trials, sorted by non-domination rank, then by the BD-rate by `search.metric`."""
    ranks = moocore.pareto_rank(done[costs_first(objectives)].to_numpy(float))
    return done.assign(rank=ranks).sort_values(["rank", BD_RATE]).drop(columns="rank")


def knee_of(front: pd.DataFrame, objectives: Sequence[str]) -> pd.DataFrame:
    """The knee of a front, sorted as by `front_of`.

    Each objective is scaled to [0, 1] over the front, predicted costs by logarithm. The knee is the
    point with the smallest sum (Chiu, Yen and Juan, IEEE Transactions on Evolutionary Computation
    20, 2016). It lies farthest below the plane through the points that are worst in one objective
    and best in all others; for two objectives, this is the line between the front's ends. For a
    front of one or two points it is the last point.
    """
    if len(front) < 3:
        return front.tail(1)
    values = front[list(objectives)].transform(
        lambda column: np.log(column) if column.name in COSTS else column
    )
    span = np.ptp(values.to_numpy(float), axis=0)
    # An objective in which all points are equal does not matter.
    scaled = (values - values.min()) / np.where(span > 0, span, 1.0)
    nearest = int(scaled.sum(axis=1).to_numpy().argmin())
    return front.iloc[nearest : nearest + 1]


def _by_id(identity: str, trials: pd.DataFrame) -> pd.DataFrame:
    found = trials[trials["id"] == identity]
    if found.empty:
        near = get_close_matches(identity, trials["id"].tolist(), n=3, cutoff=0.0)
        raise ConfigError(f"no candidate '{identity}'; the nearest ids are {', '.join(near)}")
    return found.head(1)


def _best_under(most_ms: float, done: pd.DataFrame, time: str) -> pd.DataFrame:
    """The candidate of lowest BD-rate whose `time` is at most `most_ms`. Raises ConfigError."""
    fast = done[done[time] <= most_ms]
    if fast.empty:
        raise ConfigError(
            f"--best-under-ms {most_ms:g}: expected a larger number, as the fastest candidate "
            f"decodes in {done[time].min():.1f} ms"
        )
    return fast.sort_values(BD_RATE).head(1)
