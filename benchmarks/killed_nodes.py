"""A search on Ray nodes of this machine that are killed, join or lack this project."""

from __future__ import annotations

import argparse
import os
import runpy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from killing import (
    GONE_S,
    POLL_S,
    ROOT,
    Command,
    Result,
    Row,
    accounts,
    scores_of,
    search_command,
    trials_of,
)
from ray._common.network_utils import find_free_port

JOIN_S = 30
"""Seconds within which a node that joins has to be used."""
SERVERS = ROOT / "tests/search/storage/servers.py"
NAMED = "is not used: ModuleNotFoundError: No module named 'search'."
WITHOUT_SEARCH = """
import sys

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "search":
            raise ModuleNotFoundError("No module named 'search'")

sys.meta_path.insert(0, Finder)
"""


@contextmanager
def database() -> Iterator[str]:
    """Yield the URL of a private database, as the tests use it, whose password we know.

    Raises pytest.skip.Exception with the reason if PostgreSQL or its driver is missing.
    """
    module = runpy.run_path(str(SERVERS))
    os.environ["PGPASSWORD"] = module["PASSWORD"]
    with module["postgresql"]() as port:
        yield f"postgresql://admin@127.0.0.1:{port}/postgres"


class Cluster:
    """Ray nodes of one CPU each, and a search on them."""

    def __init__(self, folder: Path, url: str, budget: int) -> None:
        """Name what will be searched; `url` is that of the study's database."""
        self.folder, self.run = folder, folder / "results/run"
        self.address = f"127.0.0.1:{find_free_port()}"
        self.nodes: dict[str, Command] = {}
        self.used: set[str] = set()
        """Names of the nodes that were seen to evaluate a candidate."""
        options = [f"search.trials={budget}", f"search.address={self.address}", "proxy.steps=30"]
        self.words = search_command(*options, f"search.storage={url}")
        self.drivers: list[Command] = []

    def add(self, name: str, **variables: str) -> None:
        """Start a node, the first as the head, and wait until it has joined."""
        port = self.address.partition(":")[2]
        head = ["--head", f"--port={port}", "--include-dashboard=false"]
        role = [f"--address={self.address}"] if self.nodes else head
        role += [] if self.nodes else [f"--temp-dir={self.folder}"]
        words = ["ray", "start", "--block", "--num-cpus=1", "--object-store-memory=200000000"]
        # Nodes on one machine must not choose from the same range of ports.
        words += ["--min-worker-port=0", "--max-worker-port=0", *role]
        self.nodes[name] = node = Command.start(words, self.folder, **variables)
        node.wait_for(lambda: "--block" in node.said())

    def search(self) -> None:
        """Start or continue the search."""
        self.drivers.append(Command.start(self.words, self.folder))

    def evaluating(self) -> list[str]:
        """Names of the nodes that evaluate a candidate now."""
        found = [name for name, node in self.nodes.items() if node.evaluating()]
        self.used.update(found)
        return found

    def until(self, condition: Callable[[], Result]) -> Result:
        """Wait until a condition holds while the search goes on, and watch the nodes."""

        def seen() -> Result:
            self.evaluating()
            return condition()

        return self.drivers[-1].wait_for(seen)

    def until_scores(self, more: int) -> None:
        """Wait for so many more scores."""
        wanted = len(scores_of(trials_of(self.run))) + more
        self.until(lambda: len(scores_of(trials_of(self.run))) >= wanted)

    def finish(self) -> None:
        """Let the search end, and watch the nodes."""
        while self.drivers[-1].process.poll() is None:
            self.evaluating()
            time.sleep(POLL_S)
        self.drivers[-1].finish()

    def end(self) -> None:
        """Kill all nodes and drivers."""
        for command in (*self.drivers, *self.nodes.values()):
            command.kill_all()


def cluster(folder: Path, arguments: argparse.Namespace) -> list[Row]:
    """Rows on a search on three nodes, with its study in a database."""
    bare = folder / "bare"
    bare.mkdir()
    (bare / "sitecustomize.py").write_text(WITHOUT_SEARCH)
    with database() as url:
        nodes = Cluster(folder, url, arguments.cluster_trials)
        try:
            nodes.add("head")
            nodes.add("second")
            nodes.add("bare", PYTHONPATH=str(bare))
            return _searched(nodes, arguments.cluster_trials)
        finally:
            nodes.end()


def _searched(nodes: Cluster, budget: int) -> list[Row]:
    """Search, kill a node, add one, kill the driver and continue."""
    begun = time.monotonic()
    nodes.search()
    nodes.until_scores(3)
    nodes.until(lambda: "second" in nodes.used)
    nodes.until(lambda: "second" in nodes.evaluating())
    nodes.nodes["second"].kill_all()
    nodes.until_scores(2)
    nodes.add("added")
    joined = time.monotonic()
    nodes.until(lambda: "added" in nodes.used)
    used_s = time.monotonic() - joined
    nodes.until_scores(2)
    scored = scores_of(trials_of(nodes.run))
    left = _left_by_driver(nodes)
    nodes.search()
    nodes.finish()
    named = sum(NAMED in " ".join(driver.said().split()) for driver in nodes.drivers)
    return [
        ("nodes killed while they evaluated a candidate", 1, 1),
        ("seconds until a node that joined was used", f"{used_s:.1f}", f"< {JOIN_S}"),
        ("drivers, of 2, that named the node without the project", named, 2),
        ("whether that node evaluated a candidate", "bare" in nodes.used, False),
        ("drivers killed", len(nodes.drivers) - 1, 1),
        *accounts(nodes.run, budget, scored),
        (f"evaluations {GONE_S} s after the kill of the driver", len(left), 0),
        ("seconds", round(time.monotonic() - begun), ""),
    ]


def _left_by_driver(nodes: Cluster) -> list[str]:
    """Kill the driver; return the nodes that still evaluate a candidate after GONE_S."""
    nodes.drivers[-1].process.kill()
    deadline = time.monotonic() + GONE_S
    while (left := nodes.evaluating()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return left
