"""Exact expected hypervolume improvement (EHVI) with known objectives and modelled ones.

The region that no point of the front dominates is cut into boxes. The expected improvement within a
box is a product of one factor per objective (Yang et al., Journal of Global Optimization 75, 2019);
the factor of a known objective is a length. All objectives are minimised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import pairwise

import moocore
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def expected_hypervolume_improvement(
    mean: Matrix, std: Matrix, front: Matrix, reference_point: Vector
) -> Vector:
    """EHVI [n] of n candidates over the points `front` [f, m], up to `reference_point` [m].

    Objectives are independent normal variables with mean `mean` [n, m] and standard deviation `std`
    [n, m]. An objective is known if its `std` is zero for all candidates.
    """
    total = np.zeros(len(mean))
    lengths = [_expected_lengths(mean[:, m], std[:, m]) for m in range(len(reference_point))]
    for lower, upper in boxes(front, reference_point):
        volume = np.ones(len(mean))
        for length, low, high in zip(lengths, lower, upper, strict=True):
            volume *= length(low, high)
        total += volume
    return total


def _expected_lengths(mean: Vector, std: Vector) -> Callable[[float, float], Vector]:
    """Function that maps bounds `lower` and `upper` to expected lengths [n].

    It is the length of the part of [lower, upper] that lies above each of n normal variables.
    """
    if not std.any():
        return lambda lower, upper: np.clip(upper - np.maximum(mean, lower), 0, None)
    # With three or more objectives, many boxes share a bound.
    shortfall = cache(partial(_expected_shortfall, mean, std))
    return lambda lower, upper: shortfall(upper) - shortfall(lower)


def _expected_shortfall(mean: Vector, std: Vector, bound: float) -> Vector:
    """Expected value [n] of max(bound - y, 0) for a normal variable y."""
    if bound == -math.inf:
        return np.zeros(len(mean))
    z = (bound - mean) / std
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return (bound - mean) * ndtr(z) + std * density


def boxes(front: Matrix, reference_point: Vector) -> Iterator[tuple[Vector, Vector]]:
    """Yield the lower and the upper corner [m] of each box of the non-dominated region.

    The region extends from minus infinity to `reference_point` [m] and excludes all that a point of
    `front` [f, m] dominates. The boxes are disjoint and fill the region. The last objective is cut
    into slabs at the points' values. For each slab, the points below the slab form a front with one
    objective fewer, which is decomposed recursively.
    """
    front = front[(front < reference_point).all(axis=1)]
    if len(reference_point) == 1:
        yield np.array([-math.inf]), front.min(axis=0, initial=reference_point[0])
        return
    if len(front) > 1:
        front = front[moocore.is_nondominated(front)]
    cuts = np.unique(front[:, -1])
    edges = np.concatenate([[-math.inf], cuts, reference_point[-1:]])
    for low, high in pairwise(edges):
        for lower, upper in boxes(front[front[:, -1] <= low, :-1], reference_point[:-1]):
            yield np.append(lower, low), np.append(upper, high)
