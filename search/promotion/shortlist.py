"""Which candidates of a run are promoted."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import moocore
import numpy as np
import pandas as pd

from search.config import ConfigError
from search.front import front_of
from search.records import RecordError, RunRecord, evaluated

TRIALS = "trials.parquet"


@dataclass(frozen=True)
class Wish:
    """What a user asks for; all of it together."""

    ids: tuple[str, ...] = ()
    best_under_ms: float | None = None
    knee: bool = False
    shortlist: int | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == Wish()


def find_run(name: str) -> Path:
    """The folder of a run, given as such or by its name below results/. Raises ConfigError."""
    for folder in (Path(name), Path("results") / name):
        if (folder / TRIALS).is_file() and RunRecord.exists(folder):
            return folder
    known = sorted(path.parent.name for path in Path("results").glob(f"*/{TRIALS}"))
    raise ConfigError(
        f"no run '{name}' with a report; runs below results/: {', '.join(known) or 'none'}"
    )


def trials_of(folder: Path) -> pd.DataFrame:
    """The trials of a run's report. Raises RecordError."""
    try:
        return pd.read_parquet(folder / TRIALS)
    # Those of pyarrow are ValueErrors.
    except (OSError, ValueError) as error:
        raise RecordError(f"{folder / TRIALS} is broken: {error}") from error


def chosen(wish: Wish, trials: pd.DataFrame, record: RunRecord) -> pd.DataFrame:
    """The trials that are wished for, each once, in the order of the wishes.

    Raises ConfigError where there is none of a kind.
    """
    done = evaluated(trials)
    if done.empty and wish != Wish(ids=wish.ids):
        raise ConfigError(f"run '{record.name}' has no candidate with a BD-rate yet")
    parts = [_by_id(identity, trials) for identity in wish.ids]
    if wish.best_under_ms is not None:
        parts.append(_best_under(wish.best_under_ms, done))
    if wish.knee:
        parts.append(knee_of(front_of(done)))
    if wish.shortlist is not None:
        # At one decode time the least BD-rates; else front after front.
        ranked = by_front(done) if record.band is None else done.sort_values("bd_rate_percent")
        parts.append(ranked.head(wish.shortlist))
    return pd.concat(parts).drop_duplicates("id")


def by_front(done: pd.DataFrame) -> pd.DataFrame:
    """All trials: those that none dominates, then those that only they dominate, and so on.

    Of equal rank the least BD-rate comes first.
    """
    ranks = moocore.pareto_rank(done[["decode_ms", "bd_rate_percent"]].to_numpy(float))
    return done.assign(rank=ranks).sort_values(["rank", "bd_rate_percent"]).drop(columns="rank")


def knee_of(front: pd.DataFrame) -> pd.DataFrame:
    """The one of a front, fastest first, that lies farthest below the line between its ends.

    Decode times count by their logarithm. Of one or two the last.
    """
    ms = np.log(front["decode_ms"].to_numpy())
    rate = front["bd_rate_percent"].to_numpy()
    if len(front) < 3:
        return front.tail(1)
    line = np.interp(ms, ms[[0, -1]], rate[[0, -1]])
    farthest = int(np.argmax(line - rate))
    return front.iloc[farthest : farthest + 1]


def _by_id(identity: str, trials: pd.DataFrame) -> pd.DataFrame:
    found = trials[trials["id"] == identity]
    if found.empty:
        near = get_close_matches(identity, trials["id"].tolist(), n=3, cutoff=0.0)
        raise ConfigError(f"no candidate '{identity}'; the nearest are {', '.join(near)}")
    return found.head(1)


def _best_under(most_ms: float, done: pd.DataFrame) -> pd.DataFrame:
    fast = done[done["decode_ms"] <= most_ms]
    if fast.empty:
        raise ConfigError(
            f"--best-under-ms {most_ms:g}: no candidate decodes in less than "
            f"{done['decode_ms'].min():.1f} ms"
        )
    return fast.sort_values("bd_rate_percent").head(1)
