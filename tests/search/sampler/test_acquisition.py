"""The choice of a candidate, against the computation of all gains."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search.sampler.acquisition import upper_bounds
from search.sampler.improvement import expected_hypervolume_improvement


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3]))
def test_bounds_are_no_less_than_the_gains(seed: int, objectives: int) -> None:
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(200, objectives))
    points = rng.normal(size=(6, objectives))
    unsure = np.zeros(objectives)
    unsure[0] = 0.5
    deviation = np.zeros_like(means)
    deviation[:, 0] = unsure[0] * rng.random(len(means))
    reference_point = np.full(objectives, 2.0)
    gains = expected_hypervolume_improvement(means, deviation, points, reference_point)
    assert (upper_bounds(means, unsure, points, reference_point) >= gains - 1e-9).all()
