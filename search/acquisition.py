"""The candidate of a pool that is expected to add most to the front."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from search.encoding import Rows
from search.improvement import expected_gain
from search.surrogate import Surrogate

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

CELLS = 2**14
"""Of a grid of means and costs at whose lower corners upper bounds of gains are computed."""
CHUNK, CHUNKS = 16_384, 4
"""Candidates whose gain is computed exactly at a time, by falling upper bound, until none of the
others can gain more; and how often at most, which bounds the time of a suggestion."""


def best_row(
    rows: Rows,
    means: Matrix,
    learned: Mapping[int, Surrogate],
    points: Matrix,
    worst: Vector,
) -> int:
    """That of `rows` [n], n at least 1, with the largest expected gain over `points` [f, m].

    `means` [pool, m] are what is known or expected of every row, `learned` the surrogates of those
    objectives that are not known, by their number; hypervolume counts up to `worst` [m].
    """
    bound = np.full(len(rows), np.inf)
    if len(rows) > CHUNK:
        unsure = np.zeros(len(worst))
        for m, surrogate in learned.items():
            unsure[m] = surrogate.prior_deviation
        bound = upper_bounds(means[rows], unsure, points, worst)
        most = min(CHUNK * CHUNKS, len(rows))
        order = np.argpartition(-bound, most - 1)[:most]
        order = order[np.argsort(-bound[order])]
        rows, bound = rows[order], bound[order]
    best, best_gain = int(rows[0]), -np.inf
    for first in range(0, len(rows), CHUNK):
        if bound[first] <= best_gain:
            break
        asked = rows[first : first + CHUNK]
        mean, deviation = means[asked], np.zeros((len(asked), len(worst)))
        for m, surrogate in learned.items():
            mean[:, m], deviation[:, m] = surrogate.posterior(asked)
        gains = expected_gain(mean, deviation, points, worst)
        if gains.max() > best_gain:
            best, best_gain = int(asked[gains.argmax()]), float(gains.max())
    return best


def upper_bounds(means: Matrix, unsure: Vector, points: Matrix, worst: Vector) -> Vector:
    """Upper bounds [n] of the expected gains of `means` [n, m] with deviations of `unsure` [m] or
    less: those of the lower corners of a grid's cells.

    An expected gain falls with every mean and rises with every deviation.
    """
    low, high = means.min(axis=0), means.max(axis=0)
    steps = round(CELLS ** (1 / len(worst)))
    width = np.maximum(high - low, 1e-12) / steps
    shape = [steps + 1] * len(worst)
    cells = np.ravel_multi_index(tuple(((means - low) / width).astype(np.int64).T), shape)
    bounds = np.zeros(math.prod(shape))
    filled = np.flatnonzero(np.bincount(cells, minlength=len(bounds)))
    corners = low + np.stack(np.unravel_index(filled, shape), axis=1) * width
    bounds[filled] = expected_gain(corners, np.broadcast_to(unsure, corners.shape), points, worst)
    return bounds[cells]
