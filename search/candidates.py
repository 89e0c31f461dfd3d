"""The pool of candidates that a sampler chooses from, and the finding of points in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from search.encoding import Coded, Encoding, Rows, row_keys

Vector = NDArray[np.float64]


class Candidates:
    """Different points by row, and what is known of them."""

    def __init__(
        self,
        table: pd.DataFrame,
        known: Mapping[int, Vector],
        distributions: Mapping[str, BaseDistribution],
        stages: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`table` has a row per candidate and a column per parameter; `known` its values [rows]
        of some objectives, by their number. Raises ValueError where they do not fit.

        `stages` names the stage of a parameter; one that it lacks is a stage of its own.
        """
        _check(table, known, distributions)
        if unknown := stages.keys() - distributions.keys():
            raise ValueError(f"stages of {', '.join(sorted(unknown))}: expected parameters alone")
        self._table = table
        self.known = {number: np.asarray(v, dtype=float) for number, v in known.items()}
        coded = Coded(table)
        self.encoding = Encoding(coded, distributions, stages)
        self._codes = {
            name: {value: code for code, value in enumerate(values)}
            for name, values in zip(coded.names, coded.values, strict=True)
        }
        self._words = coded.words
        keys = row_keys(coded.words, coded.codes)
        self._order = keys.argsort(kind="stable")
        self._sorted = keys[self._order]
        repeated = len(keys) - len(np.unique(self._sorted))
        if repeated:
            raise ValueError(f"{repeated:,} of {len(keys):,} candidates are there already")

    def __len__(self) -> int:
        return len(self._table)

    @cached_property
    def by_cost(self) -> Rows:
        """Rows in rising order of the first objective that is known; there is one."""
        return next(iter(self.known.values())).argsort(kind="stable")

    def point(self, row: int) -> dict[str, Any]:
        """The parameters of a candidate, as values of Python, which Optuna's storages ask for."""
        return {name: _plain(self._table[name].iat[row]) for name in self._codes}

    def agreeing(self, fixed: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Which rows have these values of some parameters; others than the pool's do not count."""
        kept = np.ones(len(self), dtype=bool)
        for name in fixed.keys() & self._codes.keys():
            kept &= (self._table[name] == fixed[name]).to_numpy()
        return kept

    def rows(self, points: Iterable[Mapping[str, Any]]) -> Rows:
        """Rows [n] of n points, -1 for one that the pool lacks."""
        codes = [
            [codes.get(point.get(name), -1) for name, codes in self._codes.items()]
            for point in points
        ]
        if not codes:
            return np.empty(0, dtype=np.int64)
        asked = np.array(codes)
        here = (asked >= 0).all(axis=1)
        keys = row_keys(self._words, list(asked.clip(min=0).T))
        place = np.searchsorted(self._sorted, keys).clip(max=len(self._sorted) - 1)
        found = here & (self._sorted[place] == keys)
        return np.where(found, self._order[place], -1)


def _check(
    table: pd.DataFrame,
    known: Mapping[int, Vector],
    distributions: Mapping[str, BaseDistribution],
) -> None:
    if set(table) != set(distributions):
        raise ValueError(
            f"a pool of {', '.join(map(str, table))}: expected the parameters of the "
            f"distributions, {', '.join(distributions)}"
        )
    if table.empty or table.isna().any(axis=None):
        raise ValueError("expected a pool of candidates, with a value of each parameter")
    for number, values in known.items():
        if np.shape(values) != (len(table),) or not np.isfinite(values).all():
            raise ValueError(
                f"objective {number} is known as {np.size(values):,} values, "
                f"{np.size(values) - np.isfinite(values).sum():,} of them not finite: "
                f"expected {len(table):,} finite ones, one per candidate"
            )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
