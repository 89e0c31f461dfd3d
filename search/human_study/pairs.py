"""Active choice of pairs: which comparison teaches most about what the study reports?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from search.human_study.manifest import Condition
from search.human_study.preference import FloatArray, IntArray, Posterior

NEAR_BEST = 0.95
"""A pair is drawn among those of at least this share of the largest expected information, so that
participants who are asked at the same time are asked different things."""
EQUAL_RATE, NEIGHBOUR, OTHER = 1.0, 0.12, 0.01
"""Weights of the variances of differences between codecs at equal rate, between neighbouring rates
of a codec, and of all other differences. The first are what a study is made for, the second turn
them into rates, and the last keep the scale together. `benchmarks/study.md` has the effect."""


def interest(conditions: Sequence[Condition]) -> FloatArray:
    """Matrix [items, items] whose product with a covariance has the trace to be reduced.

    The trace is the sum of the variances of all differences between the conditions' strengths, with
    the weights EQUAL_RATE, NEIGHBOUR and OTHER.
    """
    rates = sorted({condition.target_bpp for condition in conditions})
    step = np.array([rates.index(condition.target_bpp) for condition in conditions])
    codec = np.array([condition.codec for condition in conditions])
    apart = np.abs(step[:, None] - step)
    same = codec[:, None] == codec
    weight = np.where(same, np.where(apart == 1, NEIGHBOUR, OTHER), OTHER)
    weight = np.where(~same & (apart == 0), EQUAL_RATE, weight)
    np.fill_diagonal(weight, 0.0)
    return np.diag(weight.sum(axis=1)) - weight


def information(posterior: Posterior, pairs: IntArray, wanted: FloatArray) -> FloatArray:
    """Expected information of an answer to each of the pairs [n, 2]: array [n].

    It is the expected reduction of the trace of `wanted` times the posterior's covariance. An
    answer to the pair (i, j) adds `w a a^T` to the posterior's precision, where a is 1 at i
    and -1 at j, and w is the answer's expected Fisher information; the reduction follows by the
    formula of Sherman and Morrison. Obvious pairs have a small w, and pairs whose difference is
    known already change little.
    """
    first, second = pairs.T
    columns = posterior.covariance[:, first] - posterior.covariance[:, second]
    variance = columns[first, np.arange(len(pairs))] - columns[second, np.arange(len(pairs))]
    weight = _expected_weight(posterior.mean[first] - posterior.mean[second], variance)
    return weight * (columns * (wanted @ columns)).sum(axis=0) / (1 + weight * variance)


def next_pair(
    posterior: Posterior,
    allowed: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    wanted: FloatArray | None = None,
) -> tuple[int, int]:
    """Draw one of the `allowed` pairs whose expected information is close to the largest.

    `allowed` contains at least one pair, usually those which the participant has not seen. `wanted`
    comes from `interest`; without it, all differences are of equal interest. It takes less than a
    millisecond for 31 conditions.
    """
    items = len(posterior.mean)
    everything = items * np.eye(items) - 1 if wanted is None else wanted
    value = information(posterior, np.asarray(allowed), everything)
    near = np.flatnonzero(value >= NEAR_BEST * value.max())
    return allowed[int(rng.choice(near))]


def _expected_weight(mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Approximate expectation of p (1 - p) [n] of answers whose log odds are normal.

    It is p (1 - p) at MacKay's approximation of the expected p (1992, equation 10), whose log odds
    are `mean / sqrt(1 + pi variance / 8)`. The expectation itself is at most that.
    """
    share = expit(mean / np.sqrt(1 + np.pi * variance / 8))
    return share * (1 - share)
