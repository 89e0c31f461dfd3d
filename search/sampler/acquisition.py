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
"""Approximate number of cells of the grid of objective means on which upper bounds of the EHVI are
computed."""
CHUNK, MAX_CHUNKS = 16_384, 4
"""Number of candidates whose exact EHVI is computed at a time, and the largest number of such
chunks. Chunks are taken by falling upper bound until no other candidate can be better; their
largest number bounds the time of a suggestion."""


def best_row(
    rows: Rows,
    means: Matrix,
    surrogates: Mapping[int, Surrogate],
    points: Matrix,
    reference_point: Vector,
) -> int:
    """The row among `rows` [n], n >= 1, with the largest EHVI over `points` [f, m].

    `means` [pool, m] has the known value or posterior mean of each objective for every row of the
    pool. `surrogates` has, by index, a model of each objective that is not known. Hypervolume is
    measured up to `reference_point` [m].
    """
    bound = np.full(len(rows), np.inf)
    if len(rows) > CHUNK:
        max_std = np.zeros(len(reference_point))
        for m, surrogate in surrogates.items():
            max_std[m] = surrogate.prior_std
        bound = upper_bounds(means[rows], max_std, points, reference_point)
        most = min(CHUNK * MAX_CHUNKS, len(rows))
        order = np.argpartition(-bound, most - 1)[:most]
        order = order[np.argsort(-bound[order])]
        rows, bound = rows[order], bound[order]
    best, best_ehvi = int(rows[0]), -np.inf
    for first in range(0, len(rows), CHUNK):
        if bound[first] <= best_ehvi:
            break
        chunk = rows[first : first + CHUNK]
        mean, std = means[chunk], np.zeros((len(chunk), len(reference_point)))
        for m, surrogate in surrogates.items():
            mean[:, m], std[:, m] = surrogate.posterior(chunk)
        ehvi = expected_hypervolume_improvement(mean, std, points, reference_point)
        if ehvi.max() > best_ehvi:
            best, best_ehvi = int(chunk[ehvi.argmax()]), float(ehvi.max())
    return best


def upper_bounds(means: Matrix, max_std: Vector, points: Matrix, reference_point: Vector) -> Vector:
    """Upper bounds [n] of the EHVI of n candidates.

    `means` [n, m] are their means, `max_std` [m] bounds their standard deviations.
    The EHVI falls with every mean and rises with every standard deviation. The bound of a candidate
    is therefore the EHVI at the lower corner of its grid cell, with `max_std`.
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
