"""Sources of a run's scores: codecs evaluated on photographs, or a table of scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from rich.console import Console

from latency_predictor.printable import printable
from search.config.paths import expanded
from search.config.schema import Config
from search.data.photographs import Photographs
from search.evaluation.classical import submit_classical
from search.evaluation.cluster import ray_cluster
from search.evaluation.scores import Evaluator
from search.evaluation.tabular import Table
from search.evaluation.workers import RayEvaluator
from search.report.sample_crops import write_originals, write_samples
from search.study.objectives import selecting_metrics
from search.study.records import ClassicalRecord
from search.training.pretrain import SUPERNET
from search.training.proxy import Score
from search.training.start import initialisation_of
from space.architecture import Architecture
from space.codec.supernet import Supernet

CLASSICAL_S = 600.0
"""Longest wait for the curves of the classical codecs after the search has ended, in seconds."""


@dataclass(frozen=True)
class Trained:
    """The source of scores that trains codecs on photographs, if asked to, and measures them."""

    config: Config
    photographs: Photographs
    supernet: Supernet | None
    description: str
    """Sentences for the user that describe the photographs and what candidates start from."""
    fidelity: str | None
    """One sentence on how well the supernet is known to rank codecs; None without a supernet."""
    data = "photographs"

    @property
    def facts(self) -> dict[str, Any]:
        """Fields of the run's record that describe this source."""
        return {
            "photographs": self.photographs.used,
            "unreadable": list(map(printable, self.photographs.unreadable)),
            "transparent": list(map(printable, self.photographs.transparent)),
            "small": list(map(printable, self.photographs.small)),
            "data_digest": self.photographs.digest,
            "qualities": list(self.config.proxy.qualities),
            "supernet": self.supernet.digest if self.supernet else None,
            "fidelity": self.fidelity,
        }

    def has(self, architecture: Architecture) -> bool:
        """Return True: every architecture can be scored."""
        return True

    def begin(self, folder: Path) -> None:
        """Write the files of a new run to its `folder`.

        They are the originals of the sample crops, and the supernet, if there is one.
        """
        write_originals(folder, self.photographs.select)
        if self.supernet:
            self.supernet.save(folder / SUPERNET, self.supernet.metadata)

    @contextmanager
    def evaluator(self, console: Console) -> Iterator[Evaluator]:
        """Yield an evaluator on Ray workers. Lines on the `console` name nodes that are not used.

        Raises NoNodes if no node of the cluster can evaluate candidates.
        """
        config = self.config
        with ray_cluster(config.search.address, config.search.workers, "search.address"):
            start = self.supernet or initialisation_of(self.photographs.train)
            settings = (config.proxy, config.search, config.run.seed)
            notify = partial(console.print, style="yellow", highlight=False, markup=False)
            yield RayEvaluator.share(self.photographs, start, *settings, notify)

    @contextmanager
    def classical(self, folder: Path, console: Console) -> Iterator[None]:
        """Measure the classical codecs beside what is done in the context; end with their record.

        The record is written to a run's `folder`. If it is there already, nothing is measured. If
        measuring fails, a line on the `console` says so.
        """
        if ClassicalRecord.exists(folder):
            yield
            return
        task = submit_classical(self.photographs.select, self.config.proxy.metrics)
        yield
        try:
            with console.status("Measuring JPEG, WebP and AVIF"):
                record = ClassicalRecord(**ray.get(task, timeout=CLASSICAL_S))
        except RayError as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            why = f"{type(cause).__name__}: {cause}".splitlines()[0]
            console.print(f"JPEG, WebP and AVIF could not be measured: {why}", markup=False)
        else:
            record.write(folder)

    def keep(self, architecture: Architecture, score: Score, folder: Path) -> None:
        """Save the score's reconstructions of the sample crops to a run's `folder`."""
        write_samples(folder, architecture.id, score.samples)


@dataclass(frozen=True)
class Replayed:
    """The source of scores that looks them up in a table."""

    config: Config
    table: Table
    data = "rows of the table"

    @property
    def description(self) -> str:
        """A sentence for the user that describes the table."""
        count, path = len(self.table.scores), self.table.path
        return f"Scores are looked up in {path}: {count:,} architectures."

    @property
    def facts(self) -> dict[str, Any]:
        """Fields of the run's record that describe this source."""
        return {
            "photographs": 0,
            "unreadable": [],
            "small": [],
            "data_digest": self.table.digest,
            "qualities": [],
            "table": printable(self.table.path.name),
        }

    def has(self, architecture: Architecture) -> bool:
        """Whether the table has the architecture."""
        return architecture.id in self.table.scores

    def begin(self, folder: Path) -> None:
        """Do nothing: a table has no files to save."""

    @contextmanager
    def evaluator(self, console: Console) -> Iterator[Evaluator]:
        """Yield the table, which is an evaluator. It prints nothing on the `console`."""
        yield self.table

    @contextmanager
    def classical(self, folder: Path, console: Console) -> Iterator[None]:
        """Do nothing: a table has no crops to measure classical codecs on."""
        yield

    def keep(self, architecture: Architecture, score: Score, folder: Path) -> None:
        """Do nothing: a table has no pictures."""


def find_table(config: Config) -> Table | None:
    """The table that the configuration names, or None if it names none.

    Raises TableError if the table cannot be read, or lacks the configured steps or a metric by
    which the run selects.
    """
    if config.search.tabular is None:
        return None
    path = expanded(config.search.tabular)
    proxy, workers = config.proxy, config.search.workers or 1
    return Table.load(path, proxy.steps, selecting_metrics(config), proxy.rungs, workers)
