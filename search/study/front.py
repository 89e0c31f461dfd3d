"""Pareto fronts and hypervolume over the objectives of a search, all minimised."""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search.study.objectives import costs_first

Range = tuple[float, float]
"""Smallest and largest value of a predicted cost over the candidates of a run, both above 0."""

WORST_BD_RATE = 100.0
"""BD-rate of the hypervolume's reference point, in percent. It means twice the bits of the
reference architecture. A candidate with a higher BD-rate adds nothing to the hypervolume."""

FARTHEST_CALIBRATED = 1.0
"""Largest distance from the calibration data at which measurements have checked the intervals of
predicted times. The distance is that of a network."""


def front_of(trials: pd.DataFrame, objectives: Sequence[str]) -> pd.DataFrame:
    """The rows of `trials` that are non-dominated in the columns `objectives`.

    They are in rising order of the first predicted cost, or of the first objective if none is
    predicted.
    """
    if trials.empty:
        return trials
    columns = costs_first(objectives)
    kept = moocore.is_nondominated(trials[columns].to_numpy(float))
    return trials[kept].sort_values(columns[0])


def to_measure(trials: pd.DataFrame) -> pd.Series[bool]:
    """Mask of the rows whose decoder is unlike the calibration data and should be timed on a phone.

    It is false where `decode_distance` is not known.
    """
    return trials["decode_distance"] > FARTHEST_CALIBRATED


def hypervolume(points: NDArray[np.float64], ranges: Sequence[Range | None]) -> float:
    """Hypervolume of `points` [n, m], as a share in [0, 1] of the box of outcomes.

    `ranges` [m] has the range of each predicted cost, and None for each BD-rate. The box spans the
    logarithms of the ranges, and BD-rates from -100 to +100 percent.
    """
    if not len(points):
        return 0.0
    unit = [_share(values, within) for values, within in zip(points.T, ranges, strict=True)]
    return float(moocore.hypervolume(np.column_stack(unit), ref=np.ones(len(ranges))))


def _share(values: NDArray[np.float64], within: Range | None) -> NDArray[np.float64]:
    """Place [n] of the values of one objective in the box, from 0; the box ends at 1."""
    if within is None:
        return ((values + 100.0) / (WORST_BD_RATE + 100.0)).clip(min=0)
    least, most = within
    # If all candidates have the same cost the box has no width, and only the others count.
    width = max(np.log(most / least), 1e-12)
    return (np.log(values / least) / width).clip(min=0)
