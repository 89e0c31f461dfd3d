from collections import Counter

import pytest

from search.human_study.answers import CATCH, COMPARISON, TRAINING
from search.human_study.server.schedule import REPEAT, TRAINING_TRIALS, schedule


@pytest.mark.parametrize("seed", range(20))
def test_a_session_has_its_parts(seed: int) -> None:
    kinds = schedule(seed, 60)
    assert kinds[:TRAINING_TRIALS] == [TRAINING] * TRAINING_TRIALS
    counted = Counter(kinds[TRAINING_TRIALS:])
    assert counted == {COMPARISON: 54, REPEAT: 6, CATCH: 6}
    assert schedule(seed, 25) == kinds[: len(schedule(seed, 25))]


@pytest.mark.parametrize("seed", range(20))
def test_there_is_something_to_repeat(seed: int) -> None:
    done: Counter[str] = Counter()
    for kind in schedule(seed, 30):
        done[kind] += 1
        assert done[REPEAT] * 5 <= done[COMPARISON]


def test_places_of_catch_trials_differ_between_participants() -> None:
    assert len({tuple(schedule(seed, 30)) for seed in range(20)}) > 15
