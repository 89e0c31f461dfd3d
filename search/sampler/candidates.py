"""The pool of candidates that a sampler chooses from, with a fast look-up of points in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from search.sampler.encoding import Encoding, FactorizedTable, Rows, row_keys

Vector = NDArray[np.float64]


class Candidates:
    """The pool: a table of distinct candidates, and the known objectives of each candidate."""

    def __init__(
        self,
        table: pd.DataFrame,
        known: Mapping[int, Vector],
        distributions: Mapping[str, BaseDistribution],
        stages: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Create a pool and an index of its rows.

        `table` has a row per candidate and a column per parameter. `known` maps the index of each
        known objective to the values [rows] of that objective. `stages` maps a parameter to the
        name of its stage; a parameter without an entry is a stage of its own. Raises ValueError if
        the arguments do not fit each other, or if the table is empty, lacks values or repeats a
        candidate.
        """
        _check(table, known, distributions)
        if unknown := stages.keys() - distributions.keys():
            raise ValueError(
                f"stages of {', '.join(sorted(unknown))}: expected parameters of the "
                f"distributions, {', '.join(distributions)}"
            )
        self._table = table
        self.known = {number: np.asarray(v, dtype=float) for number, v in known.items()}
        factorized = FactorizedTable(table)
        self.encoding = Encoding(factorized, distributions, stages)
        self._codes = {
            name: {value: code for code, value in enumerate(values)}
            for name, values in zip(factorized.names, factorized.values, strict=True)
        }
        self._hashes = factorized.hashes
        keys = row_keys(factorized.hashes, factorized.codes)
        self._order = keys.argsort(kind="stable")
        self._sorted = keys[self._order]
        repeated = len(keys) - len(np.unique(self._sorted))
        if repeated:
            raise ValueError(
                f"{repeated:,} of {len(keys):,} candidates repeat another one: "
                f"expected a pool of distinct candidates"
            )

    def __len__(self) -> int:
        return len(self._table)

    @cached_property
    def by_cost(self) -> Rows:
        """All rows in rising order of the first known objective. At least one must be known."""
        return next(iter(self.known.values())).argsort(kind="stable")

    def point(self, row: int) -> dict[str, Any]:
        """The parameters of a row's candidate, as plain Python values for Optuna's storages."""
        return {name: _plain(self._table[name].iat[row]) for name in self._codes}

    def matching(self, fixed: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Mask [rows] of the candidates that have the parameter values `fixed`.

        Entries of `fixed` that name no parameter of the pool are ignored.
        """
        kept = np.ones(len(self), dtype=bool)
        for name in fixed.keys() & self._codes.keys():
            kept &= (self._table[name] == fixed[name]).to_numpy()
        return kept

    def rows(self, points: Iterable[Mapping[str, Any]]) -> Rows:
        """Rows [n] of n points in the pool; -1 for a point that is not in the pool."""
        codes = [
            [codes.get(point.get(name), -1) for name, codes in self._codes.items()]
            for point in points
        ]
        if not codes:
            return np.empty(0, dtype=np.int64)
        wanted = np.array(codes)
        encodable = (wanted >= 0).all(axis=1)
        keys = row_keys(self._hashes, list(wanted.clip(min=0).T))
        place = np.searchsorted(self._sorted, keys).clip(max=len(self._sorted) - 1)
        found = encodable & (self._sorted[place] == keys)
        return np.where(found, self._order[place], -1)


def _check(
    table: pd.DataFrame,
    known: Mapping[int, Vector],
    distributions: Mapping[str, BaseDistribution],
) -> None:
    if set(table) != set(distributions):
        raise ValueError(
            f"the pool has the columns {', '.join(map(str, table))}: expected the parameters of "
            f"the distributions, {', '.join(distributions)}"
        )
    if table.empty or table.isna().any(axis=None):
        raise ValueError(
            "the pool is empty or lacks values: "
            "expected a pool of candidates with a value of each parameter"
        )
    for number, values in known.items():
        if np.shape(values) != (len(table),) or not np.isfinite(values).all():
            raise ValueError(
                f"objective {number} is known as {np.size(values):,} values, "
                f"{np.size(values) - np.isfinite(values).sum():,} of them not finite: "
                f"expected {len(table):,} finite ones, one per candidate"
            )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
