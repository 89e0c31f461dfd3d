"""Response times of `study serve` with many participants at once, and whether answers are lost.

    python benchmarks/study_load.py STUDY [--participants 50] [--comparisons 30] [--think 2 6]

STUDY is a folder that `study create` wrote; a copy of it is served by the command in a process of
its own. All participants join at the same time. Each sends what a browser sends: the page with its
style and scripts, the checks with four plates, and for each trial three pictures, a pause to think
of random length within the bounds in seconds, and the answer. Prints times from a request
until its whole response has arrived, and compares the answers in the database with those sent.
Participants run in this process, on the same machine as the server.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import numpy as np

from search.human_study.answers import DATABASE
from search.human_study.server.keys import Keys
from search.report.markdown import markdown_table

STATIC = ("study.css", "session.js", "requests.js", "screen.js", "trial.js")


@dataclass
class Load:
    """The response times of all participants, and the answers that they sent."""

    think_s: tuple[float, float]
    times_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[str, str] = field(default_factory=dict)
    """The choice by the id of the trial."""
    refused: int = 0


@contextmanager
def served(folder: Path, comparisons: int) -> Iterator[str]:
    """Serve a study by the command; yield the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "search", "study", "serve", str(folder)]
    options = ["--comparisons", str(comparisons), "--port", str(port)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGINT)


class Participant:
    """One participant, with a connection of its own."""

    def __init__(self, address: str, load: Load, rng: random.Random) -> None:
        self.load, self.rng, self.link = load, rng, ""
        self.client = httpx2.AsyncClient(base_url=address, headers={"Origin": address}, timeout=60)

    async def get(self, kind: str, path: str) -> httpx2.Response:
        return await self._timed(kind, self.client.get(path))

    async def post(self, kind: str, path: str, body: dict[str, Any]) -> Any:
        return (await self._timed(kind, self.client.post(path, json=body))).json()

    async def _timed(self, kind: str, request: Any) -> httpx2.Response:
        started = time.perf_counter()
        response: httpx2.Response = await request
        self.load.times_ms[kind].append(1000 * (time.perf_counter() - started))
        self.load.refused += response.status_code != 200
        response.raise_for_status()
        return response

    async def take_part(self, invitation: str) -> None:
        """Join, pass the checks, and answer until the end."""
        async with self.client:
            page = await self.get("page", f"/join/{invitation}")
            self._use_token(page.text)
            joined = await self.post("joining", f"/join/{invitation}", {})
            self.link = joined["link"]
            self._use_token((await self.get("page", self.link)).text)
            for name in STATIC:
                await self.get("style and scripts", f"/static/{name}")
            await self.get("state", f"{self.link}/state")
            state = await self.post("checks", f"{self.link}/screen", {"pixel_ratio": 1, "fits": 2})
            for name in state["plates"]:
                await self.get("plate", f"{self.link}/plate/{name}.png")
            await self._think()
            state = await self.post("checks", f"{self.link}/plates", {"read": ["26"] * 4})
            while state["stage"] != "done":
                state = await self._answer(state)

    async def _answer(self, state: dict[str, Any]) -> Any:
        pictures = [f"{self.link}/picture/{name}.png" for name in state["pictures"].values()]
        await asyncio.gather(*(self.get("picture", path) for path in pictures))
        await self._think()
        choice = self.rng.choice(("left", "right"))
        self.load.sent[state["trial"]] = choice
        body = {"trial": state["trial"], "choice": choice, "response_ms": 1000}
        return await self.post("answer", f"{self.link}/answer", body)

    async def _think(self) -> None:
        await asyncio.sleep(self.rng.uniform(*self.load.think_s))

    def _use_token(self, page: str) -> None:
        found = re.search(r'data-csrf="(\w+)"', page)
        assert found
        self.client.headers["X-CSRF-Token"] = found[1]


async def run(address: str, keys: Keys, participants: int, load: Load) -> float:
    """Let all participants take part; return the seconds."""
    started = time.perf_counter()
    people = [Participant(address, load, random.Random(n)) for n in range(participants)]
    await asyncio.gather(*(person.take_part(keys.invitation()) for person in people))
    return time.perf_counter() - started


def stored(folder: Path) -> dict[str, str]:
    """The choice by the id of the trial, as the database has it."""
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        rows = database.execute("SELECT id, preferred = first_on_left FROM answer").fetchall()
    return {trial: "left" if left else "right" for trial, left in rows}


def table(load: Load) -> str:
    """Times by kind of request in Markdown."""
    every = [value for values in load.times_ms.values() for value in values]
    headers = ("request", "number", "median, ms", "p95, ms", "largest, ms")
    return markdown_table(
        headers,
        (
            (
                kind,
                f"{len(values):,}",
                f"{statistics.median(values):.1f}",
                f"{np.percentile(values, 95):.1f}",
                f"{max(values):.1f}",
            )
            for kind, values in {**load.times_ms, "all": every}.items()
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--participants", type=int, default=50)
    parser.add_argument("--comparisons", type=int, default=30)
    parser.add_argument("--think", type=float, nargs=2, default=(2.0, 6.0))
    options = parser.parse_args()
    load = Load(tuple(options.think))
    with TemporaryDirectory() as work:
        folder = Path(work) / "study"
        shutil.copytree(options.study, folder, ignore=shutil.ignore_patterns(f"{DATABASE}*"))
        keys = Keys.of(folder)
        with served(folder, options.comparisons) as address:
            seconds = asyncio.run(run(address, keys, options.participants, load))
        kept = stored(folder)
    print(table(load))
    same = sum(kept.get(trial) == choice for trial, choice in load.sent.items())
    print(
        f"\n{options.participants} participants, {seconds:.0f} s, "
        f"{sum(map(len, load.times_ms.values())) / seconds:.0f} requests per second, "
        f"{load.refused} refused. Of {len(load.sent):,} answers that were sent, {same:,} are in "
        f"the database as sent; it has {len(kept):,}."
    )


if __name__ == "__main__":
    main()
