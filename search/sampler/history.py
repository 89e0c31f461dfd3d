"""What the trials of a study say about a pool. A trial that has ended is read only once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from search.sampler.candidates import Candidates


class History:
    """The trials of a study, and their rows in a pool."""

    def __init__(self, pool: Candidates) -> None:
        self.pool = pool
        self.rows: dict[int, int] = {}
        """Row of each trial's candidate, by number; without candidates that the pool lacks."""
        self.free = np.ones(len(pool), dtype=bool)
        """Mask [rows] of the candidates that have not been suggested yet."""
        self.values: dict[int, Sequence[float]] = {}
        """Objectives of the complete trials, in rising order of their numbers."""
        self.running: list[int] = []
        """Numbers of the trials that have not ended."""
        self.failed: list[int] = []
        """Numbers of the failed trials."""
        self._read = 0

    def read(
        self, trials: Sequence[FrozenTrial], suggested: Mapping[int, Mapping[str, Any]], asked: int
    ) -> None:
        """Read those of a study's `trials` that are new, or had not ended before.

        `suggested` has candidates by trial number, for trials that the study has no parameters of.
        The trial with the number `asked` has no candidate yet.
        """
        numbers = [*self.running, *range(self._read, len(trials))]
        new = [trials[number] for number in numbers if number != asked]
        rows = self.pool.rows(point_of(trial, suggested) for trial in new).tolist()
        self.rows |= {t.number: row for t, row in zip(new, rows, strict=True) if row >= 0}
        self.free[[row for row in rows if row >= 0]] = False
        last = next(reversed(self.values), -1)
        complete = {t.number: t.values for t in new if t.state == TrialState.COMPLETE}
        self.values |= complete
        if min(complete, default=last) < last:
            # With several workers, trials do not end in the order of their numbers.
            self.values = dict(sorted(self.values.items()))
        self.failed += [t.number for t in new if t.state == TrialState.FAIL]
        self.running = [n for n in numbers if n == asked or not trials[n].state.is_finished()]
        self._read = len(trials)


def point_of(trial: FrozenTrial, suggested: Mapping[int, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The candidate of a trial, from `suggested` if the study has no parameters of it."""
    known: dict[str, Any] = trial.system_attrs.get("fixed_params", {}) | trial.params
    return known or suggested.get(trial.number, {})
