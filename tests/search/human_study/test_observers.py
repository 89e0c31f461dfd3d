from collections import Counter

import numpy as np
import pytest

from search.human_study.manifest import Condition
from search.human_study.observers import Observers, simulate

CONDITIONS = [Condition(codec, rate) for codec in ("a", "b") for rate in (0.25, 0.5, 1.0)]
STRENGTHS = np.tile([-2.0, 0.0, 2.0, -1.8, 0.2, 2.2], (4, 1))


def test_answers_follow_the_odds() -> None:
    """Strengths that differ by log 3 are told apart in three of four answers."""
    observers = Observers(
        [Condition("a", 1.0), Condition("b", 1.0)], np.tile([np.log(3), 0.0], (500, 1))
    )
    answers = simulate(observers, 6, 500, active=False, rng=np.random.default_rng(0))
    better = np.where(answers.first == 0, answers.preferred, 1 - answers.preferred)
    assert better.mean() == pytest.approx(0.75, abs=0.025)
    assert (answers.first == 0).mean() == pytest.approx(0.5, abs=0.03)


def test_lapses_spare_no_answer() -> None:
    observers = Observers(CONDITIONS, 1000 * STRENGTHS, lapses=0.2)
    answers = simulate(observers, 40, 50, active=False, rng=np.random.default_rng(0))
    wins = STRENGTHS[0, answers.first] > STRENGTHS[0, answers.second]
    assert (answers.preferred == wins).mean() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("active", [False, True])
def test_nobody_is_asked_the_same_twice(active: bool) -> None:
    observers = Observers(CONDITIONS, STRENGTHS)
    answers = simulate(observers, 2, 60, active, np.random.default_rng(0))
    pairs = np.sort(np.stack([answers.first, answers.second]), axis=0)
    asked = Counter(zip(answers.participant, *pairs, answers.picture, strict=True))
    assert len(asked) == 120


def test_active_pairs_compare_codecs_at_equal_rate() -> None:
    observers = Observers(CONDITIONS, STRENGTHS)
    shares = []
    for active in (False, True):
        answers = simulate(observers, 10, 20, active, np.random.default_rng(0))
        shares.append((answers.first % 3 == answers.second % 3).mean())
    assert shares[1] > 2 * shares[0]
