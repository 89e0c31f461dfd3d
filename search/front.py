"""Pareto fronts and hypervolume over predicted decode time and BD-rate, both minimised."""

from __future__ import annotations

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

WORST_BD_RATE = 100.0
"""Percent at which a candidate adds nothing to the hypervolume: twice the reference's rate."""

FARTHEST_CALIBRATED = 1.0
"""Distance beyond which no measurement ever checked the interval of a predicted time."""


def front_of(trials: pd.DataFrame) -> pd.DataFrame:
    """The non-dominated rows by `decode_ms` and `bd_rate_percent`, fastest first."""
    if trials.empty:
        return trials
    kept = moocore.is_nondominated(trials[["decode_ms", "bd_rate_percent"]].to_numpy(float))
    return trials[kept].sort_values("decode_ms")


def to_measure(trials: pd.DataFrame) -> pd.Series[bool]:
    """Which rows decode on networks unlike what was calibrated, so that a phone should time them.

    None of those whose `decode_distance` is not known.
    """
    return trials["decode_distance"] > FARTHEST_CALIBRATED


def hypervolume(points: NDArray[np.float64], fastest_ms: float, slowest_ms: float) -> float:
    """Share in [0, 1] of the box of outcomes that `points` [n, 2] (ms, percent) dominate.

    The box spans the logarithm of the screened latencies and BD-rates from -100 to +100 percent.
    """
    if not len(points):
        return 0.0
    # A pool of one latency has a box without width, in which only the rate counts.
    width = max(np.log(slowest_ms / fastest_ms), 1e-12)
    time = np.log(points[:, 0] / fastest_ms) / width
    rate = (points[:, 1] + 100.0) / (WORST_BD_RATE + 100.0)
    unit = np.column_stack([time.clip(min=0), rate.clip(min=0)])
    return float(moocore.hypervolume(unit, ref=np.ones(2)))
