"""Expected gains, against the hypervolume of another implementation."""

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.sampler.improvement import boxes, expected_hypervolume_improvement

DRAWS = 20_000


def gained(point: np.ndarray, front: np.ndarray, reference_point: np.ndarray) -> float:
    """Hypervolume that `point` adds, by moocore."""
    before = moocore.hypervolume(front, ref=reference_point) if len(front) else 0.0
    return float(moocore.hypervolume(np.vstack([front, point]), ref=reference_point) - before)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_a_known_point_gains_what_it_adds(objectives: int, points: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Halves make ties.
    front = np.round(rng.random((points, objectives)) * 8) / 8
    reference_point = np.full(objectives, 0.9)
    asked = np.round(rng.random((6, objectives)) * 16) / 16
    gains = expected_hypervolume_improvement(asked, np.zeros_like(asked), front, reference_point)
    for point, gain in zip(asked, gains, strict=True):
        assert gain == pytest.approx(gained(point, front, reference_point), abs=1e-9)


@pytest.mark.parametrize("learned", [(0,), (0, 2)])
def test_an_unknown_point_gains_the_mean_of_draws(learned: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    front, reference_point = rng.random((8, 3)), np.ones(3)
    mean, deviation = np.array([[0.4, 0.5, 0.3]]), np.zeros((1, 3))
    deviation[0, list(learned)] = 0.25
    draws = rng.normal(mean, deviation, size=(DRAWS, 3))
    expected = expected_hypervolume_improvement(draws, np.zeros_like(draws), front, reference_point)
    gain = expected_hypervolume_improvement(mean, deviation, front, reference_point)[0]
    assert gain == pytest.approx(expected.mean(), abs=4 * expected.std() / np.sqrt(DRAWS))


def test_a_worse_mean_a_surer_mean_and_a_dearer_candidate_gain_less() -> None:
    front, reference_point = np.array([[0.2, 0.8], [0.5, 0.4]]), np.ones(2)
    mean = np.array([[0.4, 0.5], [0.6, 0.5], [0.4, 0.7]])
    gains = expected_hypervolume_improvement(
        mean, np.array([[0.2, 0.0]] * 3), front, reference_point
    )
    assert gains[1] < gains[0]
    assert gains[2] < gains[0]
    sure = expected_hypervolume_improvement(
        mean[1:2], np.array([[0.02, 0.0]]), front, reference_point
    )
    assert sure[0] < gains[1]


def test_boxes_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    cut = list(boxes(rng.random((6, 3)), np.ones(3)))
    inside = rng.random((500, 3))
    hits = sum(((inside > low) & (inside < high)).all(axis=1).astype(int) for low, high in cut)
    assert hits.max() == 1
