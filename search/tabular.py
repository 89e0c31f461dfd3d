"""Replay: scores looked up in a table of trained architectures instead of trained anew."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from search.evaluation import EvaluationFailed
from search.metrics import KNOWN
from search.proxy import Score
from search.rate_distortion import Curve
from space.architecture import Architecture
from space.search_space import SearchSpace, SpaceError

IDENTITY = ("id", "architecture", "steps", "seed")


class TableError(ValueError):
    """A file that is no table of architectures, or lacks what is asked of it."""


@dataclass(frozen=True)
class Table:
    """Curves of architectures, all trained for equally many steps; an evaluator."""

    path: Path
    curves: Mapping[str, Curve]
    """By an architecture's id: `bpp` and metrics at rising quality."""
    architectures: tuple[Architecture, ...]
    train_s: Mapping[str, float]
    digest: str
    """First 16 hex digits of the file's SHA-256."""

    @classmethod
    def load(cls, path: Path, steps: int, metric: str) -> Table:
        """Rows of seed 0 at `steps` in a Parquet file of `benchmarks/table.py`.

        Raises TableError for another file, and where it has no such steps or metric.
        """
        try:
            frame = pd.read_parquet(path)
        # Those of pyarrow are ValueErrors.
        except (OSError, ValueError) as error:
            raise TableError(f"search.tabular={path}: {error}") from error
        missing = [name for name in (*IDENTITY, "bpp", metric) if name not in frame]
        if missing:
            raise TableError(f"search.tabular={path} has no column {missing[0]}")
        frame = frame[frame["seed"] == 0]
        rows = frame[frame["steps"] == steps].drop_duplicates("id").set_index("id")
        if rows.empty:
            counts = frame.groupby("steps")["id"].nunique()
            known = ", ".join(f"{rung} ({count:,} architectures)" for rung, count in counts.items())
            raise TableError(
                f"search.tabular={path} has nothing at proxy.steps={steps}; it has {known}"
            )
        metrics = [name for name in ("bpp", *KNOWN) if name in rows and rows[name].notna().all()]
        if metric not in metrics:
            raise TableError(f"search.tabular={path} lacks {metric} at proxy.steps={steps}")
        seconds = rows["train_cpu_s"] if "train_cpu_s" in rows else pd.Series(0.0, rows.index)
        curves = rows[metrics].to_dict("index")
        return cls(
            path,
            {str(i): {m: list(map(float, row[m])) for m in metrics} for i, row in curves.items()},
            tuple(map(Architecture.from_json, rows["architecture"])),
            {str(i): float(s) for i, s in seconds.fillna(0.0).items()},
            hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        )

    def numbers(self, space: SearchSpace) -> NDArray[np.int64]:
        """Numbers of those of its architectures that are of `space`, rising."""
        found = []
        for architecture in self.architectures:
            try:
                found.append(space.number(architecture))
            except SpaceError:
                continue
        if not found:
            raise TableError(f"search.tabular={self.path} has no architecture of {space.name}")
        return np.unique(found)

    def submit(self, architecture: Architecture) -> str:
        """The id to look up."""
        return architecture.id

    def finished(self, running: Sequence[str]) -> Sequence[str]:
        """All of them."""
        return running

    def score(self, handle: str) -> Score:
        """The row's curve; no sample. Raises EvaluationFailed for what the table lacks."""
        if handle not in self.curves:
            raise EvaluationFailed(f"{self.path} has no architecture {handle}")
        return Score(self.curves[handle], self.train_s[handle], 0.0, torch.empty(0))
