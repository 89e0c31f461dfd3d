"""The points of a table as coordinates, between which a Gaussian process takes distances."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from torch import Tensor

Rows = NDArray[np.int64]

DENSE = 8
"""Times the table's rows that there may be pairs of its halves' rows."""


class Coded:
    """The columns of a table in small integers."""

    def __init__(self, table: pd.DataFrame) -> None:
        """`table` has a column per parameter."""
        self.names = [str(name) for name in table]
        columns = [pd.factorize(column) for _, column in table.items()]
        self.codes = [codes for codes, _ in columns]
        """Of every column the codes [rows] of its values."""
        self.values: list[list[Any]] = [list(values) for _, values in columns]
        """Of every column the value of each code."""
        rng = np.random.default_rng(0)
        self.words = [rng.integers(2**63, size=len(values)) for values in self.values]
        """Of every column a random word per code, for `row_keys`."""


def row_keys(words: Sequence[Rows], codes: Sequence[Rows]) -> Rows:
    """A number [n] per row of columns of `codes` [n]: the sum of a random word per value.

    Unlike a product it fits whatever the number of columns, and of millions of rows no two that
    differ are likely to have equal ones.
    """
    return reduce(np.add, (of[column] for of, column in zip(words, codes, strict=True)))


@dataclass(frozen=True)
class Part:
    """Distinct rows of some columns."""

    points: Tensor
    """Coordinates [distinct, coordinates of these columns]."""
    own: Tensor
    """Which [coordinates of these columns] of all coordinates these are."""
    rows: Tensor
    """Of every row [rows] of the table, which of the distinct ones it has."""


class Encoding:
    """Parameters as coordinates: numbers from 0 to 1, other choices at equal distances.

    Squared distance is 1 between the ends of a number and 1/2 between two choices. Choices that are
    all numbers are placed by rank. What a value's coordinates are does not depend on the table.
    """

    def __init__(
        self,
        coded: Coded,
        distributions: Mapping[str, BaseDistribution],
        stages: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Place the rows of a table, all of whose values are in their distributions.

        `stages` names the stage of a parameter; one that it lacks is a stage of its own.
        """
        places = [
            _places(values, distributions[name])
            for name, values in zip(coded.names, coded.values, strict=True)
        ]
        self.owner = torch.arange(len(places)).repeat_interleave(
            torch.tensor([column.shape[1] for column in places])
        )
        """Parameter [coordinates] that each coordinate belongs to."""
        columns = zip(places, coded.codes, strict=True)
        # Column by column in memory: to write millions of rows otherwise takes ten times as long.
        by_column = np.vstack([place.T[:, codes] for place, codes in columns])
        self.points = torch.from_numpy(by_column).T
        """Coordinates [rows, coordinates] of the table's rows, in single precision."""
        self.halves = self._halves(coded)
        """The table as pairs of rows of two smaller ones, where it has most of their pairs."""
        named: dict[str, list[int]] = {}
        for column, name in enumerate(coded.names):
            named.setdefault(stages.get(name, name), []).append(column)
        self.stages = [self._part(coded, columns) for columns in named.values()]
        """The table's columns by stage, in order of their first columns."""

    def _halves(self, coded: Coded) -> tuple[Part, Part] | None:
        counts = [len(values) for values in coded.values]
        if len(counts) < 2 or math.prod(counts) > DENSE * len(self.points):
            return None
        cut = min(
            range(1, len(counts)), key=lambda n: math.prod(counts[:n]) + math.prod(counts[n:])
        )
        return self._part(coded, range(cut)), self._part(coded, range(cut, len(counts)))

    def _part(self, coded: Coded, columns: Sequence[int]) -> Part:
        words, codes = ([of[column] for column in columns] for of in (coded.words, coded.codes))
        keys = pd.Index(row_keys(words, codes))
        # Unlike numpy's `unique` it does not sort, which would take most of a renewal's time.
        rows, _ = keys.factorize()
        first = np.flatnonzero(~keys.duplicated())
        own = torch.isin(self.owner, torch.tensor(columns)).nonzero()[:, 0]
        return Part(self.points[first][:, own], own, torch.from_numpy(rows))


def _places(values: Sequence[Any], distribution: BaseDistribution) -> NDArray[np.float32]:
    """Coordinates [values, coordinates] of one parameter's values."""
    asked = np.array(values)
    match distribution:
        case CategoricalDistribution(choices=choices):
            if not all(isinstance(choice, int | float) for choice in choices):
                one_hot = np.eye(len(choices), dtype=np.float32) / 2
                return one_hot[[choices.index(value) for value in values]]
            scale = np.unique(np.array(choices))
        case (
            IntDistribution(low=low, high=high, log=log)
            | FloatDistribution(low=low, high=high, log=log)
        ):
            scale = np.array([low, high])
            asked, scale = (np.log(asked), np.log(scale)) if log else (asked, scale)
    return np.interp(asked, scale, np.linspace(0, 1, len(scale))).astype(np.float32)[:, None]
