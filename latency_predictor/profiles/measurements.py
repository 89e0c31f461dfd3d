"""Profile rows joined with the op lists of their networks. Models are fitted to the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from latency_predictor.model.interval import NOISE
from latency_predictor.ops import COLUMNS, OpTable, concatenate


@dataclass(frozen=True)
class Measurements:
    """Measured programs. All arrays have shape [rows] with one entry per measurement.

    `program` is the number of the row's program in `table`, `calibration` a chip and compute unit
    such as "a15-ane", `source` the publication or software that the measurement comes from,
    `family` the name of a group of related networks, `ms` the latency in milliseconds, and `sigma`
    the expected relative error of `ms`.
    """

    table: OpTable
    program: NDArray[np.int64]
    calibration: NDArray[np.str_]
    source: NDArray[np.str_]
    family: NDArray[np.str_]
    ms: NDArray[np.float64]
    sigma: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ms)

    @property
    def source_key(self) -> NDArray[np.str_]:
        """Key of each row's offset, such as "a15-ane/StarNet paper": shape [rows]."""
        return np.char.add(np.char.add(self.calibration, "/"), self.source)

    def where(self, rows: NDArray[np.generic]) -> Measurements:
        """The measurements that a mask or an index array selects. `table` stays complete."""
        names = ("program", "calibration", "source", "family", "ms", "sigma")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def join_op_lists(rows: pd.DataFrame, lowered: Mapping[Any, OpTable]) -> Measurements:
    """Make `Measurements` from usable rows. The networks of all rows must be in `lowered`."""
    networks = list(dict.fromkeys(rows["network"]))
    number = {network: i for i, network in enumerate(networks)}
    ms = rows["ms"].to_numpy(float)
    rounding = rows["quantum_ms"].to_numpy(float) / np.sqrt(12) / ms
    return Measurements(
        table=concatenate([lowered[network] for network in networks]),
        program=np.array([number[network] for network in rows["network"]]),
        calibration=rows["calibration"].to_numpy(str),
        source=rows["source"].to_numpy(str),
        family=rows["family"].to_numpy(str),
        ms=ms,
        sigma=np.hypot(NOISE, rounding),
    )


def distinct_ops(table: OpTable) -> tuple[OpTable, csr_array]:
    """The distinct ops of a table, and how often each program has each of them: [programs, ops].

    A fit that computes the time of each distinct op once is ten times faster than one that computes
    the time of every row, because ops recur within and across networks.
    """
    names = [name for name in COLUMNS if name not in ("program", "count")]
    columns = np.stack([getattr(table, name) for name in names])
    distinct, op = np.unique(columns, axis=1, return_inverse=True)
    size = distinct.shape[1]
    ops = OpTable(
        program=np.arange(size),
        count=np.ones(size, dtype=np.int64),
        programs=size,
        **dict(zip(names, distinct, strict=True)),
    )
    return ops, csr_array(
        (table.count, (table.program, op.reshape(-1))), shape=(table.programs, size)
    )
