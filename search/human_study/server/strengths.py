"""What the answers so far tell about the conditions, kept in memory for the choice of pairs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from itertools import combinations

import numpy as np

from search.human_study.manifest import Study
from search.human_study.pairs import interest
from search.human_study.preference import PRIOR_STD, IntArray, Posterior, fit
from search.human_study.server.database import Answer

REFIT_S = 1.0
"""Shortest time between two fits. Answers that come in between wait for the next one."""


class Strengths:
    """The posterior of the conditions' strengths, and how often each pair was asked of a picture.

    Threads may share it.
    """

    def __init__(self, study: Study, answers: Iterable[Answer]) -> None:
        self.labels = [condition.label for condition in study.conditions]
        self._index = {label: number for number, label in enumerate(self.labels)}
        self.wanted = interest(study.conditions)
        """What the study is to find out, for `next_question`."""
        self.pairs = list(combinations(range(len(self.labels)), 2))
        self._answers: list[tuple[int, int, float]] = []
        self.pictures = [picture.id for picture in study.pictures]
        self._asked = np.zeros((len(self.pairs), len(self.pictures)), dtype=np.int64)
        self._lock = threading.Lock()
        self._fitted, self._fitted_at = -1, 0.0
        self._posterior = self._fit()
        for answer in answers:
            self.add(answer)

    def place(self, answer: Answer) -> tuple[int, int]:
        """The indices of a comparison's pair in `pairs`, and of its picture in `pictures`."""
        first, second = sorted((self._index[answer.first], self._index[answer.second]))
        return self.pairs.index((first, second)), self.pictures.index(answer.picture)

    def add(self, answer: Answer) -> None:
        """Take an answered comparison into account."""
        first, second = self._index[answer.first], self._index[answer.second]
        assert answer.preferred is not None
        with self._lock:
            self._answers.append((first, second, answer.preferred))
            self._asked[self.place(answer)] += 1

    def asked(self) -> IntArray:
        """How often each pair was answered on each picture: [pairs, pictures]."""
        with self._lock:
            return self._asked.copy()

    def shown(self) -> list[int]:
        """How often each condition was part of an answered comparison."""
        with self._lock:
            counts = Counter(
                index for first, second, _ in self._answers for index in (first, second)
            )
        return [counts[index] for index in range(len(self.labels))]

    def count(self) -> int:
        """Number of answered comparisons."""
        return len(self._answers)

    def posterior(self) -> Posterior:
        """The posterior, whose answers are complete up to the last REFIT_S."""
        with self._lock:
            old = time.monotonic() - self._fitted_at >= REFIT_S
            if old and self._fitted < len(self._answers):
                self._posterior = self._fit()
            return self._posterior

    def _fit(self) -> Posterior:
        self._fitted, self._fitted_at = len(self._answers), time.monotonic()
        table = np.array(self._answers, dtype=float).reshape(-1, 3)
        first, second = table[:, :2].astype(np.int64).T
        return fit(first, second, table[:, 2], len(self.labels), PRIOR_STD)
