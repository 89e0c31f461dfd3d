"""Replay of scores from a table of architectures, in place of training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_predictor.errors import UserError
from search.evaluation.scores import EvaluationFailed
from search.metrics import KNOWN
from search.training.proxy import Score
from space.architecture import Architecture
from space.search_space import SearchSpace, SpaceError

IDENTITY = ("id", "architecture", "steps", "seed")


class TableError(UserError):
    """A file is not a table of architectures, or lacks the requested steps, metric or space."""


@dataclass(frozen=True)
class Table:
    """An evaluator that looks up scores of architectures at fixed numbers of training steps."""

    path: Path
    scores: Mapping[str, tuple[Score, ...]]
    """Scores at every rung and at the end of training, by architecture id. They have no
    samples."""
    architectures: tuple[Architecture, ...]
    digest: str
    """First 16 hex digits of the file's SHA-256."""
    workers: int = 1
    """Number of look-ups at a time."""

    @classmethod
    def load(
        cls,
        path: Path,
        steps: int,
        metrics: Sequence[str],
        rungs: Sequence[int] = (),
        workers: int = 1,
    ) -> Table:
        """Load the scores of seed 0 from a Parquet file that `benchmarks/table.py` wrote.

        An architecture is left out unless it has a row at `steps` and at each of `rungs`. Raises
        TableError if the file is not such a table, or has no architecture with these steps and all
        of these metrics.
        """
        ends = (*rungs, steps)
        frame = _read(path, metrics)
        chosen = frame[frame["steps"].isin(ends)]
        complete = chosen.groupby("id")["steps"].transform("nunique") == len(ends)
        chosen = chosen[complete].sort_values("steps")
        if chosen.empty:
            wanted = f"proxy.steps={steps}" + (f" and proxy.rungs={list(rungs)}" if rungs else "")
            counts = frame.groupby("steps")["id"].nunique()
            known = ", ".join(f"{rung} ({count:,} architectures)" for rung, count in counts.items())
            raise TableError(
                f"search.tabular={path} has no scores at {wanted}: expected one of {known}"
            )
        present = [name for name in KNOWN if name in chosen and chosen[name].notna().all()]
        if missing := [metric for metric in metrics if metric not in present]:
            raise TableError(
                f"search.tabular={path} lacks {missing[0]} at proxy.steps={steps}: "
                f"expected one of {', '.join(present) or 'its metrics, but it has none there'}"
            )
        scores = {
            str(identity): tuple(_scores(rows, present)) for identity, rows in chosen.groupby("id")
        }
        architectures = chosen.drop_duplicates("id")["architecture"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        parsed = tuple(map(Architecture.from_json, architectures))
        return cls(path, scores, parsed, digest, workers)

    def numbers(self, space: SearchSpace) -> NDArray[np.int64]:
        """Numbers in `space` of the table's architectures, in rising order.

        Raises TableError if no architecture of the table belongs to the space.
        """
        found = []
        for architecture in self.architectures:
            try:
                found.append(space.number(architecture))
            except SpaceError:
                continue
        if not found:
            raise TableError(f"search.tabular={self.path} has no architecture of {space.name}")
        return np.unique(found)

    def slots(self) -> int:
        """The number of look-ups at a time, which is `workers`."""
        return self.workers

    def submit(self, architecture: Architecture, stage: int = 0) -> tuple[str, int]:
        """The handle of an architecture's first score after `stage` rungs.

        A handle is the id of the architecture, and the number of scores that come before.
        """
        return architecture.id, stage

    def resume(self, handle: tuple[str, int]) -> tuple[str, int]:
        """The handle of the score that follows that of `handle`, for the same architecture."""
        identity, before = handle
        return identity, before + 1

    def finished(self, running: Sequence[tuple[str, int]]) -> Sequence[tuple[str, int]]:
        """All handles of `running`, since look-ups take no time."""
        return running

    def score(self, handle: tuple[str, int]) -> Score:
        """The score of a handle. Raises EvaluationFailed if the table lacks the architecture."""
        identity, before = handle
        if identity not in self.scores:
            raise EvaluationFailed(f"{self.path} has no architecture {identity}")
        return self.scores[identity][before]


def _read(path: Path, metrics: Sequence[str]) -> pd.DataFrame:
    """All rows of seed 0. Raises TableError if the file cannot be read or lacks a column."""
    try:
        frame = pd.read_parquet(path)
    # Errors of pyarrow are ValueErrors.
    except (OSError, ValueError) as error:
        raise TableError(f"search.tabular={path}: {error}") from error
    missing = [name for name in (*IDENTITY, "bpp", *metrics) if name not in frame]
    if missing:
        raise TableError(f"search.tabular={path} has no column {missing[0]}")
    return frame[frame["seed"] == 0].drop_duplicates(["id", "steps"])


def _scores(rows: pd.DataFrame, metrics: Sequence[str]) -> Iterator[Score]:
    """Scores of one architecture's rows, which are in rising order of steps."""
    trained_s = 0.0
    for row in rows.to_dict("records"):
        # The table's seconds are cumulative over steps.
        until_s = float(np.nan_to_num(row.get("train_cpu_s", 0.0)))
        curve = {name: list(map(float, row[name])) for name in ("bpp", *metrics)}
        yield Score(row["steps"], curve, until_s - trained_s, 0.0)
        trained_s = until_s
