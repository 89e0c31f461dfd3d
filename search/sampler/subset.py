"""The observations that a surrogate is fitted to, whose number does not grow with a search."""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray

from search.sampler.encoding import Rows

MOST, STEP = 250, 25
"""A surrogate is fitted to fewer than `MOST + STEP` observations. When there are that many, and
after every further `STEP` observations, `MOST` of them are chosen anew."""
FAILED = 100
"""Number of the newest failed trials that a surrogate is fitted to besides."""


def informative(values: NDArray[np.float64]) -> Rows:
    """Indices [k], in rising order, of the observations that a surrogate is fitted to.

    `values` [n, m] are the objectives, all minimised, of observations in the order in which they
    were made. If there are many, half of the chosen ones are the closest to the front, by their
    Pareto rank, and of equal rank the newest. The other half is spread evenly over the order of the
    remaining ones, since a surrogate that saw no bad values would take unknown candidates for good.
    Observations made since the last choice are all included.
    """
    older = MOST + max(len(values) - MOST, 0) // STEP * STEP
    if older == MOST:
        return np.arange(len(values))
    rank = moocore.pareto_rank(values[:older])
    order = np.lexsort([-np.arange(older), rank])
    near, far = order[: MOST // 2], np.sort(order[MOST // 2 :])
    spread = far[np.linspace(0, len(far) - 1, MOST - len(near)).round().astype(np.int64)]
    return np.concatenate([np.sort(np.append(near, spread)), np.arange(older, len(values))])
