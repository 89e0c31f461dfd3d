"""Where a run's scores come from: codecs that are trained on photographs, or a table of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch

from search.config import Config
from search.evaluation import Evaluator
from search.images import to_pillow
from search.optimisation import to_tensor
from search.parents import PARENT
from search.photographs import Photographs
from search.proxy import Score, most_detailed, skeleton_of
from search.report import SAMPLES
from search.tabular import Table
from search.workers import RayEvaluator, start_ray
from space.architecture import Architecture
from space.parent import Parent


@dataclass(frozen=True)
class Trained:
    """Scores of codecs that are trained on photographs."""

    config: Config
    photographs: Photographs
    parent: Parent | None
    said: str
    fidelity: str | None
    """What is known of how well the parent ranks, in a sentence; none without a parent."""
    data = "photographs"

    @property
    def facts(self) -> dict[str, Any]:
        """What the run's record says of it."""
        return {
            "photographs": self.photographs.used,
            "unreadable": list(self.photographs.unreadable),
            "small": list(self.photographs.small),
            "data_digest": self.photographs.digest,
            "qualities": list(self.config.proxy.qualities),
            "parent": self.parent.digest if self.parent else None,
            "fidelity": self.fidelity,
        }

    def has(self, architecture: Architecture) -> bool:
        """Whether it can be scored, as any can."""
        return True

    def begin(self, folder: Path) -> None:
        """Keep the parent, and the original that samples are compared with."""
        (folder / SAMPLES).mkdir(exist_ok=True)
        select = self.photographs.select
        shown = most_detailed(select)
        original = to_tensor(select[shown : shown + 1], torch.device("cpu"))
        to_pillow(original[0]).save(folder / SAMPLES / "original.png")
        if self.parent:
            self.parent.save(folder / PARENT, self.parent.said)

    @contextmanager
    def evaluator(self) -> Iterator[tuple[Evaluator, int]]:
        """Ray workers, and how many evaluations they run at a time."""
        slots = start_ray(self.config.search.address, self.config.search.workers)
        try:
            start = self.parent or skeleton_of(self.photographs.train)
            config = self.config
            asked = (config.proxy, config.search.metric, config.run.seed)
            yield RayEvaluator.share(self.photographs, start, *asked), slots
        finally:
            ray.shutdown()

    def keep(self, score: Score, path: Path) -> None:
        """Keep the reconstructed crop for the report."""
        to_pillow(score.sample).save(path)


@dataclass(frozen=True)
class Replayed:
    """Scores of a table."""

    config: Config
    table: Table
    data = "rows of the table"

    @property
    def said(self) -> str:
        """What the user hears of it."""
        count, path = len(self.table.scores), self.table.path
        return f"Scores are looked up in {path}: {count:,} architectures."

    @property
    def facts(self) -> dict[str, Any]:
        """What the run's record says of it."""
        return {
            "photographs": 0,
            "unreadable": [],
            "small": [],
            "data_digest": self.table.digest,
            "qualities": [],
            "table": self.table.path.name,
        }

    def has(self, architecture: Architecture) -> bool:
        """Whether the table has it."""
        return architecture.id in self.table.scores

    def begin(self, folder: Path) -> None:
        """There is nothing to keep."""

    @contextmanager
    def evaluator(self) -> Iterator[tuple[Evaluator, int]]:
        """The table itself, as many look-ups at a time as there would be workers."""
        yield self.table, self.config.search.workers or 1

    def keep(self, score: Score, path: Path) -> None:
        """A table has no pictures."""


def find_table(config: Config) -> Table | None:
    """The table that the configuration names, if any. Raises TableError."""
    if config.search.tabular is None:
        return None
    path = Path(config.search.tabular).expanduser()
    proxy = config.proxy
    return Table.load(path, proxy.steps, config.search.metric, proxy.rungs)
