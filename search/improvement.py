"""Expected hypervolume improvement where some objectives are known and others have a surrogate.

The region that no point dominates is cut into boxes; over a box the expectation is a product of
one factor per objective (Yang et al., Journal of Global Optimization 75, 2019), and of an objective
that is known the factor is a length. All objectives are minimised.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import moocore
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def expected_gain(mean: Matrix, deviation: Matrix, front: Matrix, worst: Vector) -> Vector:
    """Expected gain [n] in hypervolume of n candidates over a `front` [f, m], up to `worst` [m].

    Objectives are independent and normal, with `mean` and `deviation` [n, m]; deviations of an
    objective that are zero for all candidates say that it is known.
    """
    total = np.zeros(len(mean))
    for lower, upper in boxes(front, worst):
        volume = np.ones(len(mean))
        for m in range(len(worst)):
            volume *= _expected_length(mean[:, m], deviation[:, m], lower[m], upper[m])
        total += volume
    return total


def _expected_length(mean: Vector, deviation: Vector, lower: float, upper: float) -> Vector:
    """Expected length of [lower, upper] that lies above a normal variable."""
    if not deviation.any():
        return np.clip(upper - np.maximum(mean, lower), 0, None)
    return _expected_shortfall(mean, deviation, upper) - _expected_shortfall(mean, deviation, lower)


def _expected_shortfall(mean: Vector, deviation: Vector, bound: float) -> Vector:
    """Expected value of max(bound - y, 0)."""
    if bound == -math.inf:
        return np.zeros(len(mean))
    z = (bound - mean) / deviation
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return (bound - mean) * ndtr(z) + deviation * density


def boxes(front: Matrix, worst: Vector) -> Iterator[tuple[Vector, Vector]]:
    """Lower and upper corners of boxes that fill what no point of `front` [f, m] dominates.

    Lower corners reach to minus infinity; the upper ones to `worst`. The last objective is cut into
    slabs between the points' values, over each of which the points below it are a front of one
    objective less.
    """
    front = front[(front < worst).all(axis=1)]
    if len(worst) == 1:
        yield np.array([-math.inf]), front.min(axis=0, initial=worst[0])
        return
    if len(front) > 1:
        front = front[moocore.is_nondominated(front)]
    cuts = np.unique(front[:, -1])
    edges = np.concatenate([[-math.inf], cuts, worst[-1:]])
    for low, high in pairwise(edges):
        for lower, upper in boxes(front[front[:, -1] <= low, :-1], worst[:-1]):
            yield np.append(lower, low), np.append(upper, high)
