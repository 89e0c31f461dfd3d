from itertools import combinations
from time import perf_counter

import numpy as np
import pytest

from search.human_study.manifest import Condition
from search.human_study.pairs import (
    EQUAL_RATE,
    NEIGHBOUR,
    OTHER,
    information,
    interest,
    next_pair,
)
from search.human_study.preference import Posterior, fit


def total_variance(covariance: np.ndarray) -> float:
    """Sum of the variances of all differences, one by one."""
    return sum(
        covariance[i, i] + covariance[j, j] - 2 * covariance[i, j]
        for i, j in combinations(range(len(covariance)), 2)
    )


def test_information_is_the_reduction_of_a_fit_with_one_more_answer() -> None:
    """An answer about equal strengths has information 1/4, which is added to the precision."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    posterior = Posterior(np.zeros(4), root @ root.T + np.eye(4))
    pairs = np.array(list(combinations(range(4), 2)))
    values = information(posterior, pairs, np.ones((4, 4)))
    for (i, j), value in zip(pairs, values, strict=True):
        row = np.eye(4)[i] - np.eye(4)[j]
        precision = np.linalg.inv(posterior.covariance) + 0.25 * np.outer(row, row)
        after = total_variance(np.linalg.inv(precision))
        assert value == pytest.approx(total_variance(posterior.covariance) - after)


def test_interest_is_in_codecs_at_equal_rate_and_then_in_neighbouring_rates() -> None:
    conditions = [Condition(codec, rate) for codec in ("jpeg", "avif") for rate in (0.25, 0.5, 1.0)]
    interests = interest(conditions)
    assert (interests == interests.T).all()
    assert interests[0].tolist()[1:] == [NEIGHBOUR, OTHER, EQUAL_RATE, OTHER, OTHER]


def test_how_far_apart_conditions_are_that_nobody_confuses_is_of_no_interest() -> None:
    """At the lowest rate one codec is unusable, which 20 more answers need not confirm."""
    conditions = [Condition(codec, rate) for codec in ("jpeg", "avif") for rate in (0.25, 0.5)]
    covariance = np.diag([1.5, 0.1, 0.1, 0.1])
    posterior = Posterior(np.array([-6.0, 0.5, 0.0, 0.6]), covariance)
    rng = np.random.default_rng(0)
    allowed = list(combinations(range(4), 2))
    assert next_pair(posterior, allowed, rng, interest(conditions)) == (1, 3)


def test_codecs_at_equal_rate_are_compared_first() -> None:
    conditions = [Condition(codec, rate) for codec in ("jpeg", "avif") for rate in (0.25, 1.0)]
    posterior = Posterior(np.zeros(4), np.eye(4))
    allowed = list(combinations(range(4), 2))
    rng = np.random.default_rng(0)
    drawn = {next_pair(posterior, allowed, rng, interest(conditions)) for _ in range(20)}
    assert drawn == {(0, 2), (1, 3)}


def test_a_near_pair_is_asked_before_an_obvious_one() -> None:
    posterior = Posterior(np.array([0.0, 0.1, 6.0]), 0.2 * np.eye(3))
    rng = np.random.default_rng(0)
    assert next_pair(posterior, [(0, 2), (0, 1), (1, 2)], rng) == (0, 1)


def test_a_condition_that_nobody_saw_is_asked_before_well_known_ones() -> None:
    posterior = Posterior(np.zeros(3), np.diag([0.01, 0.01, 4.0]))
    rng = np.random.default_rng(0)
    assert {next_pair(posterior, [(0, 1), (0, 2), (1, 2)], rng) for _ in range(20)} == {
        (0, 2), (1, 2),
    }  # fmt: skip


def test_only_allowed_pairs_are_drawn() -> None:
    posterior = Posterior(np.array([0.0, 0.1, 6.0]), 0.2 * np.eye(3))
    assert next_pair(posterior, [(0, 2)], np.random.default_rng(0)) == (0, 2)


def test_a_choice_fits_into_a_web_request() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(31, size=18_000)
    second = (first + rng.integers(1, 31, size=18_000)) % 31
    preferred = rng.integers(2, size=18_000).astype(float)
    allowed = list(combinations(range(31), 2))
    seconds = []
    for _ in range(5):
        start = perf_counter()
        next_pair(fit(first, second, preferred, 31, 3.0), allowed, rng)
        seconds.append(perf_counter() - start)
    assert min(seconds) < 0.1
