"""The observations that a surrogate is fitted to."""

import moocore
import numpy as np
import pytest

from search.sampler.subset import MOST, STEP, informative


@pytest.mark.parametrize("count", [0, 1, MOST, MOST + STEP - 1])
def test_a_few_hundred_observations_are_all_seen(count: int) -> None:
    values = np.random.default_rng(0).normal(size=(count, 2))
    assert informative(values).tolist() == [*range(count)]


@pytest.mark.parametrize("count", [MOST + STEP, 777, 5000])
@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_of_more_the_front_the_newest_and_a_spread_are_seen(count: int, objectives: int) -> None:
    values = np.random.default_rng(0).normal(size=(count, objectives))
    seen = informative(values)
    assert MOST <= len(seen) < MOST + STEP
    assert (np.diff(seen) > 0).all()
    older = count - (len(seen) - MOST)
    assert seen[MOST:].tolist() == [*range(older, count)]
    front = np.flatnonzero(moocore.is_nondominated(values[:older]))
    assert len(front) < MOST // 2
    assert np.isin(front, seen).all()
    # No part of the search is forgotten.
    parts, _ = np.histogram(seen[:MOST], bins=10, range=(0, older))
    assert parts.min() > MOST // 40


def test_the_choice_changes_only_after_a_number_of_observations() -> None:
    values = np.random.default_rng(0).normal(size=(MOST + 3 * STEP, 2))
    for count in range(MOST + STEP, len(values) - 1):
        new = set(informative(values[: count + 1])) - set(informative(values[:count]))
        assert new == {count} or (count + 1 - MOST) % STEP == 0
