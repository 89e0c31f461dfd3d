"""Short real searches into which faults are injected: what is lost, and what is left behind.

    OMP_NUM_THREADS=1 python benchmarks/faults.py [kills] [rungs] [cluster] [utilisation]
        [--trials 60] [--worker-kills 20] [--driver-kills 5] [--out benchmarks/faults.md]

Every part starts `python -m search run` and kills with SIGKILL, which no process can handle.
`kills` kills workers and drivers of a search without rungs, and `rungs` those of a search with two.
`cluster` has three Ray nodes on this machine, one without this project, and a study in PostgreSQL:
it kills a node, adds one and kills the driver. `utilisation` measures how busy two workers are. By
default all parts run. Each prints a table, and replaces its section of the file `--out`; the others
stay.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from killed_nodes import cluster
from killing import (
    AGENTS_GONE_S,
    GONE_S,
    POLL_S,
    Command,
    Row,
    Scores,
    accounts,
    scores_of,
    search_command,
    trials_of,
)

from search.study.records import ReferenceRecord

TITLE = "# Faults injected into short searches\n"
WORKERS = 2
PAUSE_S = 1.5
"""Longest time from a score to the kill that follows it, so that kills meet all phases."""


class Killer:
    """Kills workers and drivers of a search again and again, and continues it each time."""

    def __init__(self, words: list[str], folder: Path, rng: np.random.Generator) -> None:
        self.words, self.folder, self.run, self.rng = words, folder, folder / "results/run", rng
        self.scored: Scores = {}
        self.kills, self.left = {"worker": 0, "driver": 0}, list[str]()
        self.gone_s = 0.0
        """Longest time from a kill of a driver until its processes had ended, beside AGENTS."""
        self.drivers = [Command.start(words, folder)]

    @property
    def driver(self) -> Command:
        """The present driver."""
        return self.drivers[-1]

    def kill(self, what: str, scores: int) -> None:
        """Kill a worker or the driver once the search has so many scores."""
        self.driver.wait_for(lambda: len(self._scores()) >= scores)
        time.sleep(self.rng.uniform(0, PAUSE_S))
        if what == "driver":
            left, gone_s = self.driver.kill()
            self.left, self.gone_s = self.left + left, max(self.gone_s, gone_s)
        else:
            self._kill_worker()
        self.kills[what] += 1
        self.scored |= self._scores()
        if what == "driver":
            self.drivers.append(Command.start(self.words, self.folder))

    def _scores(self) -> Scores:
        return scores_of(trials_of(self.run))

    def _kill_worker(self) -> None:
        """Kill one of the workers that evaluate a candidate."""
        found = self.driver.wait_for(self.driver.evaluating)
        found[self.rng.integers(len(found))].kill()

    def end(self) -> list[Row]:
        """Let the search end; return rows on the processes that are left of it and before."""
        self.driver.finish()
        (at_end, _), deadline = self.driver.left(), time.monotonic() + AGENTS_GONE_S
        while (alive := self._alive()) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return [
            (f"processes {GONE_S} s after a kill of a driver", _listed(self.left), 0),
            ("seconds until the last of them was gone, most", f"{self.gone_s:.1f}", ""),
            (f"processes {GONE_S} s after the end", _listed(at_end), 0),
            (f"agents of Ray {AGENTS_GONE_S} s after the end", alive, 0),
        ]

    def _alive(self) -> int:
        return sum(len(driver.family()) for driver in self.drivers)


def killed(folder: Path, arguments: argparse.Namespace, *rungs: int) -> list[Row]:
    """Rows on a search whose workers and drivers were killed, at times spread over its scores."""
    rng, budget = np.random.default_rng(arguments.seed), arguments.trials
    words = [f"search.trials={budget}", f"search.workers={WORKERS}", "proxy.steps=3"]
    words += [f"proxy.rungs=[{','.join(map(str, rungs))}]"] if rungs else []
    events = ["worker"] * arguments.worker_kills + ["driver"] * arguments.driver_kills
    begun = time.monotonic()
    killer = Killer(search_command(*words), folder, rng)
    try:
        for number, what in enumerate(rng.permutation(events), start=1):
            killer.kill(what, number * budget // (len(events) + 1))
        left = killer.end()
    finally:
        for driver in killer.drivers:
            driver.kill_all()
    return [
        ("workers killed", killer.kills["worker"], arguments.worker_kills),
        ("drivers killed", killer.kills["driver"], arguments.driver_kills),
        *accounts(killer.run, budget, killer.scored),
        *left,
        ("seconds", round(time.monotonic() - begun), ""),
    ]


def _listed(names: list[str]) -> str:
    """The number of processes, and their names if there are any."""
    return " ".join([str(len(names)), *sorted(set(names))])


def kills(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    """Rows on a search without rungs."""
    return killed(folder, arguments)


def rungs(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    """Rows on a search with rungs."""
    return killed(folder, arguments, 0, 1)


def utilisation(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    """Rows on how busy two workers are with trials of at least 20 seconds."""
    words = [f"search.trials={arguments.long_trials + 1}", f"proxy.steps={arguments.long_steps}"]
    driver = Command.start(search_command(*words, f"search.workers={WORKERS}"), folder)
    try:
        driver.finish()
    finally:
        driver.kill_all()
    run = folder / "results/run"
    trials = pd.read_parquet(run / "trials.parquet")
    # The reference is evaluated alone, before there are trials.
    trials = trials[trials["id"] != ReferenceRecord.read(run).id]
    busy_s = trials["train_s"] + trials["score_s"]
    # After the last end but one, a worker has nothing left to do.
    end = trials["finished"].nlargest(WORKERS).iloc[-1]
    first = trials["started"].min()
    whole, later = (busy_share(trials, since, end) for since in (first, trials["finished"].min()))
    span_s = (end - first).total_seconds()
    return [
        ("trials", len(trials), arguments.long_trials),
        ("seconds of training and scoring, shortest trial", f"{busy_s.min():.1f}", ">= 20"),
        ("seconds of training and scoring, longest trial", f"{busy_s.max():.1f}", ""),
        ("seconds from the first start to the last end but one", f"{span_s:.1f}", ""),
        (f"share in which {WORKERS} workers are busy", f"{whole:.3f}", ""),
        ("the same from the first end of a trial", f"{later:.3f}", ">= 0.95"),
    ]


def busy_share(trials: pd.DataFrame, since: pd.Timestamp, until: pd.Timestamp) -> float:
    """Share of the time of all workers between two times in which they train and score.

    A trial does so immediately before it is finished.
    """
    ends_s = (trials["finished"] - since).dt.total_seconds()
    begins_s = ends_s - trials["train_s"] - trials["score_s"]
    span_s = (until - since).total_seconds()
    within_s = ends_s.clip(upper=span_s) - begins_s.clip(lower=0.0)
    return float(within_s.clip(lower=0.0).sum() / (WORKERS * span_s))


PARTS: dict[str, Callable[[Path, argparse.Namespace], list[Row]]] = {
    part.__name__: part for part in (kills, rungs, cluster, utilisation)
}


def section(part: str, arguments: argparse.Namespace) -> str:
    """The Markdown of a part, which is run for it, or the reason why it was left out."""
    # Ray's sockets need a short path.
    with tempfile.TemporaryDirectory(prefix="f", dir="/tmp", ignore_cleanup_errors=True) as folder:
        try:
            rows = PARTS[part](Path(folder), arguments)
        except pytest.skip.Exception as reason:
            return f"Left out: {reason}."
    return pd.DataFrame(rows, columns=[part, "measured", "wanted"]).to_markdown(
        index=False, disable_numparse=True
    )


def write_section(file: Path, part: str, text: str) -> None:
    """Replace the section of a part in a file of Markdown, or add it at the end."""
    head, *sections = (file.read_text() if file.exists() else TITLE).split("\n## ")
    named = {each.partition("\n")[0]: each for each in sections}
    named[part] = f"{part}\n\n{text}\n"
    file.write_text("\n## ".join([head, *named.values()]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--trials", type=int, default=60, help="of `kills` and `rungs`")
    parser.add_argument("--worker-kills", type=int, default=20)
    parser.add_argument("--driver-kills", type=int, default=5)
    parser.add_argument("--cluster-trials", type=int, default=40)
    parser.add_argument("--long-trials", type=int, default=8, help="of `utilisation`")
    parser.add_argument("--long-steps", type=int, default=300, help="of `utilisation`")
    parser.add_argument("--seed", type=int, default=0, help="of the times of kills")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"{min(unknown)}: expected {', '.join(PARTS)}")
    for part in arguments.parts or PARTS:
        text = section(part, arguments)
        print(f"{text}\n", flush=True)
        write_section(arguments.out, part, text)


if __name__ == "__main__":
    main()
