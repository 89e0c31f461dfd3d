"""Pareto fronts and hypervolume over predicted decode time and BD-rate, both minimised."""

from __future__ import annotations

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

WORST_BD_RATE = 100.0
"""BD-rate of the hypervolume's reference point, in percent. It means twice the bits of the
reference architecture. A candidate with a higher BD-rate adds nothing to the hypervolume."""

FARTHEST_CALIBRATED = 1.0
"""Largest distance from the calibration data at which measurements have checked the intervals of
predicted times. The distance is that of a network."""


def front_of(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of `trials` that are non-dominated in decode time and BD-rate, fastest first."""
    if trials.empty:
        return trials
    kept = moocore.is_nondominated(trials[["decode_ms", "bd_rate_percent"]].to_numpy(float))
    return trials[kept].sort_values("decode_ms")


def to_measure(trials: pd.DataFrame) -> pd.Series[bool]:
    """Mask of the rows whose decoder is unlike the calibration data and should be timed on a phone.

    It is false where `decode_distance` is not known.
    """
    return trials["decode_distance"] > FARTHEST_CALIBRATED


def hypervolume(points: NDArray[np.float64], fastest_ms: float, slowest_ms: float) -> float:
    """Hypervolume of `points` [n, 2] (ms, percent), as a share in [0, 1] of the box of outcomes.

    The box spans the logarithm of decode time from `fastest_ms` to `slowest_ms`, and BD-rates from
    -100 to +100 percent.
    """
    if not len(points):
        return 0.0
    # If all candidates have the same latency the box has no width, and only the BD-rate counts.
    width = max(np.log(slowest_ms / fastest_ms), 1e-12)
    time = np.log(points[:, 0] / fastest_ms) / width
    rate = (points[:, 1] + 100.0) / (WORST_BD_RATE + 100.0)
    unit = np.column_stack([time.clip(min=0), rate.clip(min=0)])
    return float(moocore.hypervolume(unit, ref=np.ones(2)))
