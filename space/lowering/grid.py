"""Numbering of the distinct cases of a program's segment in a search space.

A program, such as the decoder, is a sequence of segments. A segment depends on few parameters, so
it has only tens or hundreds of distinct cases in a space of 10^14 architectures. The cost of a
segment is computed once per case and looked up for each architecture.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space.lowering.networks import Figures, Segment, figures_of
from space.lowering.op_list import OpList
from space.search_space import Columns, SearchSpace


@dataclass(frozen=True)
class Grid:
    """All distinct combinations of the values of some parameters of a space, numbered from 0."""

    columns: Columns
    """Values of these parameters, as arrays with one entry per combination."""
    size: int
    """Number of combinations."""
    steps: tuple[tuple[int, NDArray[np.int64]], ...]
    """Axes of the space that contain any of these parameters: pairs of axis index and offsets.

    The offsets have one entry per point of the axis. The number of a combination is the sum of the
    offsets of its points.
    """

    @classmethod
    def of(cls, space: SearchSpace, names: Collection[str]) -> Grid:
        """The grid of all value combinations of the parameters `names` in a space."""
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
        """Combination numbers [n] of n architectures, given their `SearchSpace.digits`."""
        return np.sum([step[digits[axis]] for axis, step in self.steps], axis=0)


def parameters_of(segment: Segment, space: SearchSpace) -> frozenset[str]:
    """Names of the parameters on which the ops of a segment depend."""
    figures = _RecordingFigures(figures_of(space.reference))
    segment(OpList(1), figures)
    return frozenset(figures.read)


class _RecordingFigures(UserDict[str, NDArray[Any]]):
    """Parameter values that record which parameters were read."""

    def __init__(self, figures: Figures) -> None:
        super().__init__(figures)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[Any]:
        self.read.add(name)
        return super().__getitem__(name)
