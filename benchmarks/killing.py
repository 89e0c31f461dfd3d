"""Commands as real processes that are killed, and what is left of them and of their runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import psutil
from optuna.trial import FrozenTrial, TrialState

from search.config.checks import CONFIG_FILE
from search.metrics.rate_distortion import bd_rate_percent
from search.study.folders import read_study
from search.study.journal import JOURNAL
from search.study.records import ReferenceRecord, RunRecord
from search.study.rungs import RUNG_RATES

POLL_S = 0.2
PATIENCE_S = 600
GONE_S = 10
"""Seconds after which nothing may be left of a command that was killed."""
EVALUATION = "ray::_evaluate"
"""Name of a process that evaluates a candidate now."""
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Names of helpers of Ray's raylet. If it dies they try to tell the head, for a minute even if the
head is dead too; that time is fixed in Ray."""
AGENTS_GONE_S = 70
ROOT = Path(__file__).parents[1]
Result = TypeVar("Result")
Row = tuple[str, object, object]
"""A row: the name of a measurement, its figure, and the figure that is wanted."""
Scores = dict[tuple[int, str], Any]
"""All that was scored, by the trial's number and what it is."""


class Failed(Exception):
    """A command ended early, or did not do what was waited for."""


@dataclass(frozen=True)
class Command:
    """A command in a session of its own, by which its processes are found even as orphans."""

    words: Sequence[str]
    process: subprocess.Popen[bytes]
    output: Path
    """File with what it says."""

    @classmethod
    def start(cls, words: Sequence[str], folder: Path, **variables: str) -> Command:
        """Start a command in a folder, with these environment variables besides our own.

        Workers of Ray are not nice to other processes, for which they would wait for minutes on a
        busy machine.
        """
        usual = {"PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0"}
        output = folder / f"output-{time.monotonic_ns()}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                words, cwd=folder, env=os.environ | usual | variables, stdin=subprocess.DEVNULL,
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return cls(words, process, output)

    def family(self) -> list[psutil.Process]:
        """The processes that the command started and that are alive, itself included."""
        return [p for p in psutil.process_iter() if self._has(p)]

    def _has(self, process: psutil.Process) -> bool:
        try:
            ours = os.getsid(process.pid) == self.process.pid
            return ours and process.status() != psutil.STATUS_ZOMBIE
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False

    def evaluating(self) -> list[psutil.Process]:
        """The processes of the command that evaluate a candidate now."""
        return [process for process in self.family() if _name(process) == EVALUATION]

    def said(self) -> str:
        """The output of the command so far."""
        return self.output.read_text(errors="replace")

    def kill_all(self) -> None:
        """Kill the command and all its processes, as the end of a machine does."""
        for process in self.family():
            process.kill()
        self.process.wait()

    def kill(self) -> tuple[list[str], float]:
        """Kill the first process alone; return what is `left`."""
        self.process.kill()
        self.process.wait()
        return self.left()

    def left(self) -> tuple[list[str], float]:
        """Names of its processes that are left after GONE_S, and the seconds until none is left.

        AGENTS are not counted.
        """
        begun = time.monotonic()
        self._wait_until_gone(GONE_S)
        late = self.names()
        self._wait_until_gone(AGENTS_GONE_S)
        return late, time.monotonic() - begun

    def _wait_until_gone(self, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while self.names() and time.monotonic() < deadline:
            time.sleep(POLL_S)

    def names(self) -> list[str]:
        """Names of its processes that are alive, beside AGENTS."""
        return [name for p in self.family() if (name := _name(p)) and name not in AGENTS]

    def wait_for(self, condition: Callable[[], Result]) -> Result:
        """Wait until a condition holds, and return its value.

        Raises Failed if the command ends before, or after PATIENCE_S seconds.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            if self.process.poll() is not None:
                raise Failed(f"{self.words} ended early: {self.said()[-2000:]}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.words}: nothing happened in {PATIENCE_S} s")
            time.sleep(POLL_S)
        return found

    def finish(self) -> None:
        """Wait until the command has ended. Raises Failed unless it succeeded."""
        if self.process.wait():
            raise Failed(f"{self.words} failed: {self.said()[-2000:]}")


def _name(process: psutil.Process) -> str | None:
    """The name of a process, or that of its script; None if it has ended."""
    try:
        scripts = [Path(word).name for word in process.cmdline() if word.endswith(".py")]
        return scripts[0] if scripts else process.name()
    except psutil.NoSuchProcess:
        return None


def search_command(*words: str) -> list[str]:
    """The command of a search with small crops, whose trials take a second."""
    small = ["+space=pico_tiny", "data.train_crops=8", "data.select_crops=2", "run.name=run"]
    metric = ["search.metric=psnr", "proxy.metrics=[psnr]", "search.start_trials=6"]
    return [sys.executable, "-W", "ignore", "-m", "search", "run", *small, *metric, *words]


def trials_of(run: Path) -> list[FrozenTrial]:
    """The trials of a run in its folder, none if it has not begun."""
    if not (run / CONFIG_FILE).exists():
        return []
    return read_study(run).trials if RunRecord.read(run).storage or _journal(run) else []


def _journal(run: Path) -> bool:
    return (run / JOURNAL).exists()


def scores_of(trials: Sequence[FrozenTrial]) -> Scores:
    """Everything that was scored in these trials: curves, BD-rates at rungs, and errors."""
    found: Scores = {}
    for trial in trials:
        attrs = trial.user_attrs
        found |= {(trial.number, name): attrs[name] for name in ("curve", "error") if name in attrs}
        rates = attrs.get(RUNG_RATES, {})
        found |= {(trial.number, f"rung {steps}"): rate for steps, rate in rates.items()}
    return found


def accounts(run: Path, budget: int, scored: Scores) -> list[Row]:
    """Rows on a run that has ended: its trials, and what became of what had been `scored`."""
    trials = trials_of(run)
    begun = [trial for trial in trials if "id" in trial.user_attrs]
    states = Counter(trial.state for trial in begun)
    failed = [trial for trial in begun if trial.state is TrialState.FAIL]
    unknown = sum("error" not in trial.user_attrs for trial in failed)
    unfinished = sum(not trial.state.is_finished() for trial in trials)
    now = scores_of(trials)
    repeated = len(begun) - len({trial.user_attrs["id"] for trial in begun})
    lost = sum(now.get(key) != score for key, score in scored.items())
    front, computed = _front(run), _recomputed(run, begun)
    same = "the same" if front == computed else "another"
    return [
        ("trials that were begun", len(begun), budget),
        ("of these complete", states[TrialState.COMPLETE], ""),
        ("of these stopped at a rung", states[TrialState.PRUNED], ""),
        ("of these failed with an error", len(failed) - unknown, ""),
        ("of these failed without an error", unknown, 0),
        ("trials that run or wait", unfinished, 0),
        ("trials of an architecture that another trial has", repeated, 0),
        (f"of {len(scored)} scores before a kill, lost or changed", lost, 0),
        (f"front of {len(front)}, from the scores of all trials", same, "the same"),
    ]


def _front(run: Path) -> set[tuple[float, float]]:
    """BD-rates and decode times of the front that the run's report has."""
    front = pd.read_csv(run / "front.csv")[["bd_rate_percent", "decode_ms"]]
    return {_rounded(rate, ms) for rate, ms in front.itertuples(index=False)}


def _recomputed(run: Path, trials: Sequence[FrozenTrial]) -> set[tuple[float, float]]:
    """The same, computed from the curves of trials by the definition of a front."""
    anchor, metric = ReferenceRecord.read(run).curve, RunRecord.read(run).metric
    points = {
        _rounded(
            bd_rate_percent(anchor, trial.user_attrs["curve"], metric),
            trial.user_attrs["costs"]["decode_ms"],
        )
        for trial in trials
        if trial.state is TrialState.COMPLETE
    }
    return {p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)}


def _rounded(rate: float, ms: float) -> tuple[float, float]:
    # Adding 0 makes 0 of -0, which would be another one.
    return round(rate, 6) + 0.0, round(ms, 6)
