"""Profile rows joined with the op lists of their networks: what models are fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from latency_predictor.interval import NOISE
from latency_predictor.ops import COLUMNS, OpTable, concatenate


@dataclass(frozen=True)
class Measurements:
    """Measured programs; arrays have shape [rows] and align.

    `program` numbers each row's program in `table`; `calibration` is a chip and compute unit
    ("a15-ane"); `family` groups related networks; `sigma` is the relative error to expect.
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
        """Calibration and source of each row, which share an offset: shape [rows]."""
        return np.char.add(np.char.add(self.calibration, "/"), self.source)

    def where(self, rows: NDArray[np.generic]) -> Measurements:
        """The measurements that a mask or an index array selects; the table stays whole."""
        names = ("program", "calibration", "source", "family", "ms", "sigma")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def join(rows: pd.DataFrame, lowered: Mapping[Any, OpTable]) -> Measurements:
    """Measurements from usable profile rows whose networks are all in `lowered`."""
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
    """Each op of the table once, and how often each program has it: shape [programs, ops].

    Networks repeat their ops and share them: a fit that prices each once is ten times faster.
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
