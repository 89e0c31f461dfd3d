"""A segment of a program for all architectures of a space: its few different cases, numbered.

A segment reads few parameters, so that a space of 10^14 architectures holds tens or hundreds of
cases of it. What a segment costs is found once per case and looked up for each architecture.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space.lowering import Figures, Segment, figures_of
from space.op_list import OpList
from space.search_space import Columns, SearchSpace


@dataclass(frozen=True)
class Grid:
    """Every distinct combination of some parameters of a space."""

    columns: Columns
    """Values of these parameters alone, one entry per combination."""
    size: int
    """Number of combinations."""
    steps: tuple[tuple[int, NDArray[np.int64]], ...]
    """The axes that have these parameters, and how far each of their points is into the grid."""

    @classmethod
    def of(cls, space: SearchSpace, names: Collection[str]) -> Grid:
        """The combinations of the parameters `names`."""
        columns: Columns = {}
        steps = []
        size = 1
        for number, axis in enumerate(space.axes):
            if read := {name: values for name, values in axis.items() if name in names}:
                points = np.stack(list(read.values()))
                distinct, place = np.unique(points, axis=1, return_inverse=True)
                columns = {n: np.tile(values, distinct.shape[1]) for n, values in columns.items()}
                columns |= {n: np.repeat(v, size) for n, v in zip(read, distinct, strict=True)}
                steps.append((number, place.reshape(-1) * size))
                size *= distinct.shape[1]
        return cls(columns, size, tuple(steps))

    def places(self, digits: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Combination of each architecture, from its `SearchSpace.digits`: shape [n]."""
        return np.sum([step[digits[axis]] for axis, step in self.steps], axis=0)


def parameters_of(segment: Segment, space: SearchSpace) -> frozenset[str]:
    """Names of the parameters that a segment reads."""
    figures = _Noting(figures_of(space.reference))
    segment(OpList(1), figures)
    return frozenset(figures.read)


class _Noting(UserDict[str, NDArray[Any]]):
    """Figures that note which of them were read."""

    def __init__(self, figures: Figures) -> None:
        super().__init__(figures)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[Any]:
        self.read.add(name)
        return super().__getitem__(name)
