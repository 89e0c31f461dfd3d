"""Encoding of the points of a table as coordinates for a Gaussian process."""

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

MAX_PAIR_RATIO = 8
"""Largest number of pairs of a row of one half table and a row of the other, as a multiple of the
number of rows of the whole table. A table with more pairs is not split into halves (see
`Encoding.halves`)."""


class FactorizedTable:
    """A table whose values are replaced by small integer codes, column by column."""

    def __init__(self, table: pd.DataFrame) -> None:
        """`table` has a column per parameter."""
        self.names = [str(name) for name in table]
        columns = [pd.factorize(column) for _, column in table.items()]
        self.codes = [codes for codes, _ in columns]
        """For each column, the codes [rows] of its values."""
        self.values: list[list[Any]] = [list(values) for _, values in columns]
        """For each column, the value that each code stands for."""
        rng = np.random.default_rng(0)
        self.hashes = [rng.integers(2**63, size=len(values)) for values in self.values]
        """For each column, a random 63-bit integer per code, for `row_keys`."""


def row_keys(hashes: Sequence[Rows], codes: Sequence[Rows]) -> Rows:
    """Keys [n] of n rows, which are given by their codes [n] in each column.

    The key of a row is the sum, over columns, of the hash of the row's code. Unlike a mixed-radix
    index, a key fits 64 bits for any number of columns. Among millions of different rows, two are
    unlikely to have the same key.
    """
    return reduce(np.add, (column[code] for column, code in zip(hashes, codes, strict=True)))


@dataclass(frozen=True)
class SubTable:
    """The distinct rows of some columns of a table."""

    points: Tensor
    """Coordinates [distinct rows, coordinates of these columns]."""
    coordinates: Tensor
    """Index of each of these coordinates among the coordinates of all columns."""
    rows: Tensor
    """Index [rows of the table] of the distinct row that each row of the table equals."""


class Encoding:
    """Coordinates of the rows of a table, for a kernel that depends on distances.

    A numeric parameter has one coordinate, from 0 to 1 over its range. The choices of a categorical
    parameter all have the squared distance 1/2 from each other; but if all choices are numbers,
    they are placed in [0, 1] by rank. The coordinates of a value do not depend on the table.
    """

    def __init__(
        self,
        factorized: FactorizedTable,
        distributions: Mapping[str, BaseDistribution],
        stages: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Encode the rows of a table whose values all lie in their distributions.

        `stages` maps a parameter to the name of its stage; a parameter without an entry is a stage
        of its own.
        """
        places = [
            _places(values, distributions[name])
            for name, values in zip(factorized.names, factorized.values, strict=True)
        ]
        self.owner = torch.arange(len(places)).repeat_interleave(
            torch.tensor([column.shape[1] for column in places])
        )
        """Index [coordinates] of the parameter that each coordinate belongs to."""
        columns = zip(places, factorized.codes, strict=True)
        # Column-major memory: writing millions of rows takes ten times as long in row-major order.
        by_column = np.vstack([place.T[:, codes] for place, codes in columns])
        self.points = torch.from_numpy(by_column).T
        """Coordinates [rows, coordinates] of the table's rows, in single precision."""
        self.halves = self._halves(factorized)
        """Two sub-tables: one of the first columns, and one of the remaining columns. Every row of
        the table is a pair of a row of each. None if the table has a single column, or too few of
        all such pairs (see `MAX_PAIR_RATIO`)."""
        named: dict[str, list[int]] = {}
        for column, name in enumerate(factorized.names):
            named.setdefault(stages.get(name, name), []).append(column)
        self.stages = [self._sub_table(factorized, columns) for columns in named.values()]
        """One sub-table per stage, in the order of the stages' first columns."""

    def _halves(self, factorized: FactorizedTable) -> tuple[SubTable, SubTable] | None:
        counts = [len(values) for values in factorized.values]
        if len(counts) < 2 or math.prod(counts) > MAX_PAIR_RATIO * len(self.points):
            return None
        cut = min(
            range(1, len(counts)), key=lambda n: math.prod(counts[:n]) + math.prod(counts[n:])
        )
        return (
            self._sub_table(factorized, range(cut)),
            self._sub_table(factorized, range(cut, len(counts))),
        )

    def _sub_table(self, factorized: FactorizedTable, columns: Sequence[int]) -> SubTable:
        hashes, codes = (
            [per_column[column] for column in columns]
            for per_column in (factorized.hashes, factorized.codes)
        )
        keys = pd.Index(row_keys(hashes, codes))
        # `factorize` does not sort as np.unique does, which would take most of a renewal's time.
        rows, _ = keys.factorize()
        first = np.flatnonzero(~keys.duplicated())
        coordinates = torch.isin(self.owner, torch.tensor(columns)).nonzero()[:, 0]
        return SubTable(self.points[first][:, coordinates], coordinates, torch.from_numpy(rows))


def _places(values: Sequence[Any], distribution: BaseDistribution) -> NDArray[np.float32]:
    """Coordinates [values, coordinates] of one parameter's values."""
    numbers = np.array(values)
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
            numbers, scale = (np.log(numbers), np.log(scale)) if log else (numbers, scale)
    return np.interp(numbers, scale, np.linspace(0, 1, len(scale))).astype(np.float32)[:, None]
