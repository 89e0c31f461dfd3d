"""Choice of the candidate in a pool with the largest expected hypervolume improvement (EHVI)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from search.sampler.encoding import Rows
from search.sampler.improvement import expected_hypervolume_improvement
from search.sampler.surrogate import Surrogate

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

CELLS = 2**14
"""Approximate number of cells of a grid over the objectives' means. One upper bound of the EHVI is
computed per cell."""
CHUNK, MAX_CHUNKS = 16_384, 4
"""A chunk is `CHUNK` candidates whose exact EHVI is computed at a time. At most `MAX_CHUNKS` chunks
are computed per suggestion, which bounds its time. Candidates are taken in falling order of their
upper bounds, until no remaining candidate can be better."""
FEW = 512
"""Number of candidates computed at a time if there are at most `CHUNK`. Their upper bounds follow
from the standard deviations that were computed for earlier suggestions, and are close."""


def best_row(
    rows: Rows,
    means: Matrix,
    surrogates: Mapping[int, Surrogate],
    points: Matrix,
    reference_point: Vector,
) -> int:
    """Return the one of `rows` [n], n >= 1, whose candidate has the largest EHVI.

    The improvement is over `points` [f, m], the objectives of earlier candidates. Hypervolume is
    measured up to `reference_point` [m]. `means` [pool, m] contains the known value or posterior
    mean of each objective for every row of the pool. `surrogates` maps the index of each objective
    that is not known to its model. If there are more than `CHUNK` rows, only those with the largest
    upper bounds are compared (see `MAX_CHUNKS`).
    """
    if len(rows) > CHUNK:
        max_std = np.zeros(len(reference_point))
        for m, surrogate in surrogates.items():
            max_std[m] = surrogate.prior_std
        bound = upper_bounds(means[rows], max_std, points, reference_point)
        most = min(CHUNK * MAX_CHUNKS, len(rows))
        order = np.argpartition(-bound, most - 1)[:most]
        order = order[np.argsort(-bound[order])]
        size = CHUNK
    else:
        low, std = means[rows], np.zeros((len(rows), len(reference_point)))
        for m, surrogate in surrogates.items():
            low[:, m] -= surrogate.rounding
            std[:, m] = surrogate.max_std(rows)
        bound = expected_hypervolume_improvement(low, std, points, reference_point)
        order = np.argsort(-bound)
        size = FEW
    rows, bound = rows[order], bound[order]
    best, best_ehvi = int(rows[0]), -np.inf
    for first in range(0, len(rows), size):
        if bound[first] < best_ehvi:
            break
        chunk = np.sort(rows[first : first + size])
        mean, std = means[chunk], np.zeros((len(chunk), len(reference_point)))
        for m, surrogate in surrogates.items():
            mean[:, m], std[:, m] = surrogate.posterior(chunk)
        ehvi = expected_hypervolume_improvement(mean, std, points, reference_point)
        # Of equal candidates, such as those that can gain nothing, the first in the pool is taken.
        row, largest = int(chunk[ehvi.argmax()]), float(ehvi.max())
        if (largest, -row) > (best_ehvi, -best):
            best, best_ehvi = row, largest
    return best


def upper_bounds(means: Matrix, max_std: Vector, points: Matrix, reference_point: Vector) -> Vector:
    """Upper bounds [n] of the EHVI of n candidates over `points` [f, m].

    `means` [n, m] are the means of the candidates' objectives. `max_std` [m] is an upper bound of
    the objectives' standard deviations. Hypervolume is measured up to `reference_point` [m]. The
    EHVI falls as a mean rises, and it rises with a standard deviation. The bound of a candidate is
    therefore the EHVI at the lower corner of its grid cell, with `max_std`.
    """
    low, high = means.min(axis=0), means.max(axis=0)
    steps = round(CELLS ** (1 / len(reference_point)))
    width = np.maximum(high - low, 1e-12) / steps
    shape = [steps + 1] * len(reference_point)
    cells = np.ravel_multi_index(tuple(((means - low) / width).astype(np.int64).T), shape)
    bounds = np.zeros(math.prod(shape))
    filled = np.flatnonzero(np.bincount(cells, minlength=len(bounds)))
    corners = low + np.stack(np.unravel_index(filled, shape), axis=1) * width
    bounds[filled] = expected_hypervolume_improvement(
        corners, np.broadcast_to(max_std, corners.shape), points, reference_point
    )
    return bounds[cells]
