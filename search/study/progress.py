"""Progress display of a running search: a line per trial, and a live bar on a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import optuna
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from search.study.objectives import BD_RATE, COSTS, PAIR
from search.study.records import RunRecord, evaluated, trial_row
from search.study.study import EndedTrials

UNITS = {"_ms": "ms", "_mb": "MB", "_m": "M", "kmac_per_px": "kMAC/px"}
"""Units of costs by the ending of their columns."""


class ProgressDisplay:
    """Shows how many trials are done, running and failed, the best result and the time left."""

    def __init__(
        self, study: optuna.Study, record: RunRecord, budget: int, console: Console
    ) -> None:
        self._ended, self._record, self._budget = EndedTrials(study), record, budget
        self._progress = Progress(
            TextColumn("[bold]trials"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._task = self._progress.add_task("trials", total=budget, state="", left="")
        self.done = 0
        """Number of trials that ended."""
        self._failed = 0
        self._timed, self._seconds = 0, 0.0
        self._best = pd.DataFrame()
        self._standing = ""
        self._take_new()

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def update(self, running: int, waiting: int) -> None:
        """Show the current state, and print a line per trial that ended since the last call.

        `running` and `waiting` are the numbers of evaluations that run and that wait at a rung.
        """
        shown = PAIR if self._record.band else self._objectives
        for row in self._take_new():
            self._progress.console.print(_line(row, shown), highlight=False)
        waits = f"{waiting} waiting, " if waiting else ""
        self._progress.update(
            self._task,
            completed=self.done,
            state=f"{running} running, {waits}{self._failed} failed, {self._standing}",
            left=self._left(running),
        )

    @property
    def _objectives(self) -> tuple[str, ...]:
        return self._record.goal.objectives

    def _take_new(self) -> list[dict[str, Any]]:
        """Rows of the trials that ended since the last call."""
        ended = self._ended.new()
        new = [trial_row(t, self._objectives, self._record.metric) for t in ended]
        self.done += len(new)
        self._failed += sum(isinstance(row["error"], str) for row in new)
        timed = [row["train_s"] + row["score_s"] for row in new if row["train_s"] is not None]
        self._timed, self._seconds = self._timed + len(timed), self._seconds + sum(timed)
        if new or not self._standing:
            self._rank(new)
        return new

    def _rank(self, new: list[dict[str, Any]]) -> None:
        """Compare the `new` rows with the best rows so far, instead of with all of them."""
        goal = self._record.goal
        columns = list({BD_RATE: None, **dict.fromkeys(self._objectives)})
        rows = [[row[column] for column in columns] for row in new]
        done = evaluated(pd.DataFrame(rows, columns=columns, dtype=float))
        self._best = goal.best(pd.concat([self._best, done]))
        self._standing = goal.standing(self._best)

    def _left(self, running: int) -> str:
        """Estimated remaining time, from the mean time per trial and the number of busy workers."""
        if not running or not self._timed:
            return ""
        seconds = self._seconds / self._timed
        minutes = (self._budget - self.done) * seconds / running / 60
        return f"about {minutes:.0f} min left"


def _line(row: dict[str, Any], shown: Sequence[str]) -> str:
    """The line of a trial; `shown` are the columns of the outcomes in it."""
    if isinstance(row["error"], str):
        return f"  {row['id']}  failed: {row['error']}"
    if math.isnan(row["stopped_at"]):
        outcomes = "  ".join(_outcome(row[column], column) for column in shown)
        return f"  {row['id']}  {outcomes}  {row['train_s'] + row['score_s']:5.1f} s"
    outcomes = "  ".join(
        f"{row['expected_percent']:+7.2f} % expected"
        if column == BD_RATE
        else _outcome(row[column], column)
        for column in shown
    )
    return f"  {row['id']}  {outcomes}  stopped after {row['stopped_at']:.0f} steps"


def _outcome(value: float, column: str) -> str:
    """The value of a BD-rate or cost in a line, such as `  45.1 ms decode`."""
    if column not in COSTS:
        metric = column.removeprefix("bd_rate").removesuffix("percent").strip("_")
        return f"{value:+7.2f} % BD-rate {metric}".rstrip()
    ending = next(ending for ending in UNITS if column.endswith(ending))
    name = column.removesuffix(ending).replace("_", " ")
    return f"{value:7.{1 if ending == '_ms' else 2}f} {UNITS[ending]} {name}".rstrip()
