import choix
import numpy as np
import pytest

from search.human_study.preference import ELO_MEAN, elo, fit

ITEMS = 6
TRUTH = np.linspace(-1.5, 1.5, ITEMS)


def answers(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pairs = np.array([rng.choice(ITEMS, 2, replace=False) for _ in range(n)])
    odds = TRUTH[pairs[:, 0]] - TRUTH[pairs[:, 1]]
    return pairs[:, 0], pairs[:, 1], (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)


def as_choix(first: np.ndarray, second: np.ndarray, preferred: np.ndarray) -> np.ndarray:
    """Pairs of winner and loser."""
    won = preferred[:, None] == 1
    return np.where(won, np.c_[first, second], np.c_[second, first])


def test_the_mode_is_that_of_choix() -> None:
    table = answers(300)
    ours = fit(*table, ITEMS, prior_std=2.0).mean
    theirs = choix.opt_pairwise(ITEMS, as_choix(*table), alpha=1 / (2 * 2.0**2))
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_the_posterior_is_close_to_expectation_propagation() -> None:
    table = answers(300)
    ours = fit(*table, ITEMS, prior_std=2.0)
    mean, covariance = choix.ep_pairwise(ITEMS, as_choix(*table), 1 / 2.0**2, model="logit")
    assert ours.mean == pytest.approx(mean, abs=0.05)
    differences = np.eye(ITEMS)[:-1] - np.eye(ITEMS)[1:]
    assert np.diag(differences @ ours.covariance @ differences.T) == pytest.approx(
        np.diag(differences @ covariance @ differences.T), rel=0.1
    )


def test_without_answers_the_posterior_is_the_prior() -> None:
    none = np.array([], dtype=np.int64)
    posterior = fit(none, none, none.astype(float), 3, prior_std=2.0)
    assert posterior.mean == pytest.approx(np.zeros(3))
    assert posterior.covariance == pytest.approx(4.0 * np.eye(3))


def test_one_condition_that_always_wins_keeps_a_finite_strength() -> None:
    one, other = np.zeros(200, dtype=np.int64), np.ones(200, dtype=np.int64)
    posterior = fit(one, other, np.ones(200), 2, prior_std=3.0)
    assert 3 < posterior.mean[0] < 9


def test_elo_of_three_wins_to_one_is_191_points() -> None:
    first, second = np.zeros(4000, dtype=np.int64), np.ones(4000, dtype=np.int64)
    preferred = (np.arange(4000) % 4 > 0).astype(float)
    scale = elo(fit(first, second, preferred, 2, prior_std=3.0))
    assert scale.mean[0] - scale.mean[1] == pytest.approx(400 * np.log10(3), abs=0.5)
    assert scale.mean.mean() == pytest.approx(ELO_MEAN)
    assert np.ones(2) @ scale.covariance @ np.ones(2) == pytest.approx(0, abs=1e-6)
