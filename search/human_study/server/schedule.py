"""The order of kinds of trials within a participant's session."""

from __future__ import annotations

import numpy as np

from search.human_study.answers import CATCH, COMPARISON, TRAINING

REPEAT = "repeat"
"""A comparison that was shown before, with exchanged sides."""
TRAINING_TRIALS = 3
BLOCK = 10
"""Every BLOCK comparisons, one is a repetition of an earlier one, and one catch trial is added."""


def schedule(seed: int, comparisons: int) -> list[str]:
    """Kinds of all trials of a session: TRAINING, COMPARISON, REPEAT or CATCH.

    `comparisons` is the number of COMPARISON and REPEAT trials. A longer session with the same seed
    begins as the shorter one.
    """
    rng = np.random.default_rng(seed)
    kinds = [TRAINING] * TRAINING_TRIALS
    for start in range(0, comparisons, BLOCK):
        # A repetition needs comparisons before it.
        repeat, catch = int(rng.integers(BLOCK // 2, BLOCK)), int(rng.integers(BLOCK))
        for place in range(min(BLOCK, comparisons - start)):
            kinds += [CATCH] if place == catch else []
            kinds.append(REPEAT if place == repeat else COMPARISON)
    return kinds
