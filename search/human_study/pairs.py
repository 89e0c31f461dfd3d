"""Active choice of pairs: which comparison teaches most about what the study reports?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from search.human_study.manifest import Condition
from search.human_study.preference import BoolArray, FloatArray, IntArray, Posterior

NEAR_BEST = 0.95
"""A pair is drawn among those of at least this share of the largest expected information, so that
participants who are asked at the same time are asked different things."""
EQUAL_RATE, NEIGHBOUR, OTHER = 1.0, 0.12, 0.01
"""Interest in differences between codecs at equal rate, between neighbouring rates of a codec, and
in all other differences. The first are what a study is made for, the second turn them into rates,
and the last keep the scale together. `benchmarks/study.md` has the effect."""


def interest(conditions: Sequence[Condition]) -> FloatArray:
    """Interest in the difference of each pair of conditions [items, items], symmetric."""
    rates = sorted({condition.target_bpp for condition in conditions})
    step = np.array([rates.index(condition.target_bpp) for condition in conditions])
    codec = np.array([condition.codec for condition in conditions])
    apart = np.abs(step[:, None] - step)
    same = codec[:, None] == codec
    weight = np.where(same & (apart == 1), NEIGHBOUR, OTHER)
    return np.where(~same & (apart == 0), EQUAL_RATE, weight)


def information(posterior: Posterior, pairs: IntArray, interests: FloatArray) -> FloatArray:
    """Expected information of an answer to each of the pairs [n, 2]: array [n].

    It is the expected reduction of the sum, over all pairs of conditions, of the posterior variance
    of their difference times the interest in it [items, items] times 4 p (1 - p), where p is the
    probability that one is preferred: how far apart conditions are that nobody confuses is of no
    interest. An answer to the pair (i, j) adds `w a a^T` to the posterior's precision, where a is
    1 at i and -1 at j, and w is the answer's expected Fisher information; the reduction follows by
    the formula of Sherman and Morrison. Obvious pairs have a small w, and pairs whose difference is
    known already change little.
    """
    first, second = pairs.T
    columns = posterior.covariance[:, first] - posterior.covariance[:, second]
    variance = columns[first, np.arange(len(pairs))] - columns[second, np.arange(len(pairs))]
    weight = _expected_weight(posterior.mean[first] - posterior.mean[second], variance)
    share = expit(posterior.mean[:, None] - posterior.mean)
    wanted = interests * 4 * share * (1 - share)
    laplacian = np.diag(wanted.sum(axis=1)) - wanted
    return weight * (columns * (laplacian @ columns)).sum(axis=0) / (1 + weight * variance)


def next_pair(
    posterior: Posterior,
    allowed: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    interests: FloatArray | None = None,
) -> tuple[int, int]:
    """Draw one of the `allowed` pairs whose expected information is close to the largest.

    `allowed` contains at least one pair, usually those which the participant has not seen.
    `interests` come from `interest`; without them, all differences are of equal interest. It takes
    less than a millisecond for 31 conditions.
    """
    if interests is None:
        interests = np.ones_like(posterior.covariance)
    value = information(posterior, np.asarray(allowed), interests)
    near = np.flatnonzero(value >= NEAR_BEST * value.max())
    return allowed[int(rng.choice(near))]


def next_question(
    posterior: Posterior,
    pairs: Sequence[tuple[int, int]],
    seen: BoolArray,
    asked: IntArray,
    rng: np.random.Generator,
    interests: FloatArray | None = None,
) -> tuple[int, int]:
    """The indices of the pair in `pairs` and of the picture to ask a participant about next.

    The pair is drawn by `next_pair` among those that the participant has not `seen` [pairs,
    pictures] in every picture; there must be one. The picture is one of those where the participant
    has not seen it, and of these one for which the pair was asked least, as counted by `asked`
    [pairs, pictures].
    """
    open_pairs = np.flatnonzero(~seen.all(axis=1))
    k = pairs.index(next_pair(posterior, [pairs[k] for k in open_pairs], rng, interests))
    times = np.where(seen[k], np.inf, asked[k])
    return k, int(rng.choice(np.flatnonzero(times == times.min())))


def _expected_weight(mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Approximate expectation of p (1 - p) [n] of answers whose log odds are normal.

    It is p (1 - p) at MacKay's approximation of the expected p (1992, equation 10), whose log odds
    are `mean / sqrt(1 + pi variance / 8)`. The expectation itself is at most that.
    """
    share = expit(mean / np.sqrt(1 + np.pi * variance / 8))
    return share * (1 - share)
