"""What a running search shows: a live bar on a terminal, a line per trial elsewhere too."""

from __future__ import annotations

import math
from collections.abc import Hashable
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from search.records import Overview


class ProgressDisplay:
    """Trials done, running and failed, how far they have come, and the time that is left."""

    def __init__(self, budget: int, console: Console) -> None:
        self._progress = Progress(
            TextColumn("[bold]trials"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._task = self._progress.add_task("trials", total=budget, state="", left="")
        self._announced: set[int] | None = None

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

    def update(self, overview: Overview, running: int) -> None:
        """Show the present state; trials that are new since the last call get a line each."""
        new = overview.trials
        if self._announced is not None:
            new = new[~new["number"].isin(self._announced)]
            for row in new.to_dict("records"):
                self._progress.console.print(_line(row), highlight=False)
        self._announced = set(overview.trials["number"])
        failed = int(overview.trials["error"].notna().sum())
        self._progress.update(
            self._task,
            completed=len(overview.trials),
            state=f"{running} running, {failed} failed, {overview.standing}",
            left=_left(overview, self._progress.tasks[0].total or 0, running),
        )


def _line(row: dict[Hashable, Any]) -> str:
    if isinstance(row["error"], str):
        return f"  {row['id']}  failed: {row['error']}"
    if not math.isnan(row["stopped_at"]):
        return (
            f"  {row['id']}  {row['expected_percent']:+7.2f} % expected"
            f"  {row['decode_ms']:7.1f} ms decode  stopped after {row['stopped_at']:.0f} steps"
        )
    return (
        f"  {row['id']}  {row['bd_rate_percent']:+7.2f} % BD-rate"
        f"  {row['decode_ms']:7.1f} ms decode  {row['train_s']:5.1f} s"
    )


def _left(overview: Overview, budget: float, running: int) -> str:
    """Remaining trials at the mean cost so far, on the workers that are busy."""
    seconds = overview.trials["train_s"].mean() + overview.trials["score_s"].mean()
    if not running or not seconds > 0:
        return ""
    minutes = (budget - len(overview.trials)) * seconds / running / 60
    return f"about {minutes:.0f} min left"
