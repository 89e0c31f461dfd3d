"""Simulated participants, whose answers follow known strengths with noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import expit

from search.human_study.manifest import Condition
from search.human_study.pairs import interest, next_question
from search.human_study.population import Answers
from search.human_study.preference import PRIOR_STD, FloatArray, fit

REFIT_AFTER = 5
"""Number of answers after which the posterior that chooses pairs is fitted anew."""


@dataclass(frozen=True)
class Observers:
    """What decides the answers of simulated participants."""

    conditions: Sequence[Condition]
    strengths: FloatArray
    """Strengths of the conditions in each picture [pictures, items], in log odds."""
    sensitivity_std: float = 0.0
    """Standard deviation of the factor by which a participant's log odds differ; its mean is 1."""
    codec_std: float = 0.0
    """Standard deviation of a participant's liking for a codec, in log odds."""
    lapses: float = 0.0
    """Share of answers that prefer either side with equal probability."""

    def felt(self, rng: np.random.Generator) -> FloatArray:
        """Strengths [pictures, items] for one participant, who is drawn."""
        spread = self.sensitivity_std
        factor = rng.gamma(spread**-2, spread**2) if spread else 1.0
        codecs = sorted({condition.codec for condition in self.conditions})
        liking = dict(zip(codecs, rng.normal(0, self.codec_std, len(codecs)), strict=True))
        return factor * self.strengths + [liking[each.codec] for each in self.conditions]


def simulate(
    observers: Observers, participants: int, each: int, active: bool, rng: np.random.Generator
) -> Answers:
    """Answers of participants who come one after another, `each` of whom answers so many times.

    Nobody is asked the same twice; `each` is at most the number of comparisons that there are. With
    `active`, a pair is the most informative one given all answers so far, and its picture one for
    which the pair was asked least. Otherwise both are random.
    """
    choice = _Choice(observers, active, rng)
    questions, preferred = [], []
    for participant in range(participants):
        felt = observers.felt(rng)
        choice.begin()
        for _ in range(each):
            first, second, picture = choice.question()
            odds = felt[picture, first] - felt[picture, second]
            likely = observers.lapses / 2 + (1 - observers.lapses) * expit(odds)
            preferred.append(float(rng.random() < likely))
            questions.append((first, second, picture, participant))
            choice.take(first, second, preferred[-1])
    first, second, picture, participant = np.array(questions).T
    return Answers(first, second, np.array(preferred), picture, participant)


class _Choice:
    """The choice of questions, given the answers so far."""

    def __init__(self, observers: Observers, active: bool, rng: np.random.Generator) -> None:
        self.active, self.rng = active, rng
        pictures, self.items = observers.strengths.shape
        self.pairs = list(combinations(range(self.items), 2))
        self.asked = np.zeros((len(self.pairs), pictures), dtype=np.int64)
        self.interests = interest(observers.conditions)
        self.answers: list[tuple[int, int, float]] = []

    def begin(self) -> None:
        """Begin with the next participant, who has seen nothing."""
        self.seen = np.zeros(self.asked.shape, dtype=bool)

    def question(self) -> tuple[int, int, int]:
        """First and second condition, in random order, and the picture."""
        if self.active:
            if len(self.answers) % REFIT_AFTER == 0:
                table = np.array(self.answers).reshape(-1, 3)
                first, second = table[:, :2].astype(np.int64).T
                self.posterior = fit(first, second, table[:, 2], self.items, PRIOR_STD)
            k, picture = next_question(
                self.posterior, self.pairs, self.seen, self.asked, self.rng, self.interests
            )
        else:
            k, picture = divmod(
                int(self.rng.choice(np.flatnonzero(~self.seen))), self.seen.shape[1]
            )
        self.seen[k, picture] = True
        self.asked[k, picture] += 1
        first, second = self.rng.permutation(self.pairs[k])
        return int(first), int(second), picture

    def take(self, first: int, second: int, preferred: float) -> None:
        """Take an answer into account."""
        self.answers.append((first, second, preferred))
