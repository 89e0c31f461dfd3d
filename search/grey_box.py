"""A sampler for searches in which some objectives are known before anything is evaluated.

What a candidate costs on a phone is predicted; only its quality has to be learned. So the quality
alone gets a surrogate. What a candidate may add to the front's hypervolume is bounded for all of
them, and computed for those of the largest bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import Any

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.acquisition import best_row
from search.candidates import Candidates
from search.encoding import Rows
from search.surrogate import Surrogate, ceiling

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Points = Sequence[Mapping[str, Any]]
"""Of some candidates, the value of each parameter."""
Renewal = Callable[[Points, Points], tuple[pd.DataFrame, Mapping[int, Vector]]]
"""From the front's points and all that were asked for, a pool and what is known of its rows."""
Foresight = Callable[[Study, Sequence[FrozenTrial]], Mapping[int, Sequence[float]]]
"""Values of all objectives, by number, of some trials of a study."""

START = 12
"""Trials spread over the known objectives before a surrogate is fitted."""
REFIT = 1.1
"""Growth of the number of trials after which the surrogate's weights are searched anew."""


class PoolExhausted(RuntimeError):
    """Every candidate of the pool has been asked for."""


@dataclass(frozen=True)
class Given:
    """What is known of a pool's rows."""

    done: Rows
    values: Matrix
    """Objectives [done, objectives], minimised."""
    pending: Rows
    failed: Rows


class GreyBoxSampler(BaseSampler):
    """Expected hypervolume improvement over a pool of candidates whose costs are known.

    For any Optuna study whose trials one process asks for, from several threads if need be: trials
    that are running count as if they gave what is expected of them, and those that failed as if
    they were as bad as the worst; of pruned ones nothing is learned but by `foresee`. No candidate
    is suggested twice. Parameters outside the pool are drawn at random.
    """

    def __init__(
        self,
        pool: pd.DataFrame,
        known: Mapping[int, Vector],
        distributions: Mapping[str, BaseDistribution],
        start: int = START,
        seed: int | None = None,
        renew: Renewal | None = None,
        foresee: Foresight = lambda study, trials: {},
        stages: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`pool` has a row per candidate and a column per parameter, whose values are in its
        distribution. `known` has, by number of the objective, every row's value in the direction
        of the study, on any rising scale; the hypervolume is that of this scale. The first `start`
        trials, 1 or more, are spread over the first of them. Raises ValueError for a pool that
        repeats a candidate or does not fit the distributions, and for costs that do not fit it.

        Where there are too many candidates for one pool, `renew` gives another one whenever the
        surrogate's weights are searched anew. It should have what was asked for already, since
        nothing is learned from points outside the pool.

        What `foresee` says of trials that are not complete counts as if it had been measured.

        What is learned is expected to be nearly a sum over stages. `stages` names the stage of a
        parameter; one that it lacks is a stage of its own.
        """
        self._distributions, self._stages = dict(distributions), dict(stages)
        self._pool = Candidates(pool, known, self._distributions, self._stages)
        self._renew, self._foresee = renew, foresee
        if start < 1:
            raise ValueError(f"start={start}: expected at least 1")
        self._start = start
        self._rng = np.random.default_rng(seed)
        self._others = RandomSampler(seed=seed)
        self._learned: dict[int, Surrogate] = {}
        self._handed: dict[int, Mapping[str, Any]] = {}
        self._lock = Lock()
        self._searched_at = 0

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The pool's parameters."""
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """One row of the pool. Raises PoolExhausted when none is left."""
        # Threads ask before what the others were given is in the study.
        with self._lock:
            row = self._next(study, trial)
            point = self._pool.point(row)
            self._handed[trial.number] = point
        return point

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random value."""
        return self._others.sample_independent(study, trial, param_name, param_distribution)

    def _next(self, study: Study, trial: FrozenTrial) -> int:
        trials = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        flipped = self._flipped(study)
        seen = dict(self._foresee(study, trials)) | {
            t.number: t.values for t in trials if t.state == TrialState.COMPLETE
        }
        search = len(seen) >= max(self._start, self._searched_at * REFIT)
        if search:
            self._searched_at = len(seen)
            self._take_another(trials, seen, flipped)
        free = self._free(trials)
        if not free.any():
            self._take_another(trials, seen, flipped)
            free = self._free(trials)
        if not free.any():
            raise PoolExhausted(f"all {len(free):,} candidates have been asked for")
        agreeing = free & self._pool.agreeing(trial.system_attrs.get("fixed_params", {}))
        free = agreeing if agreeing.any() else free
        given = self._given(trials, seen, flipped)
        if len(given.done) < self._start:
            return self._spread(free)
        return self._best(free, given, flipped, search)

    def _flipped(self, study: Study) -> Vector:
        """What values [objectives] are multiplied by to be minimised."""
        most = max(self._pool.known, default=-1)
        if most >= len(study.directions):
            raise ValueError(
                f"objective {most} is known, but the study has {len(study.directions)}; "
                f"objectives are counted from 0"
            )
        return np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in study.directions])

    def _asked(self, trials: Sequence[FrozenTrial]) -> dict[int, Mapping[str, Any]]:
        """By number, the points of all trials, also where the study does not have them yet."""
        asked = {t.number: t.system_attrs.get("fixed_params", {}) | t.params for t in trials}
        missing = {n: p for n, p in self._handed.items() if not asked.get(n)}
        return asked | missing

    def _free(self, trials: Sequence[FrozenTrial]) -> NDArray[np.bool_]:
        """Rows that nobody has asked for."""
        rows = self._pool.rows(self._asked(trials).values())
        free = np.ones(len(self._pool), dtype=bool)
        free[rows[rows >= 0]] = False
        return free

    def _given(
        self, trials: Sequence[FrozenTrial], seen: Mapping[int, Sequence[float]], flipped: Vector
    ) -> Given:
        asked = self._asked(trials)
        rows = self._pool.rows(asked.values()).tolist()
        row_of = {number: row for number, row in zip(asked, rows, strict=True) if row >= 0}
        states = {t.number: t.state for t in trials}
        values = {n: values for n, values in seen.items() if n in row_of}
        done = {row_of[number] for number in values}
        # What was cut off, and is evaluated again, has failed and runs.
        ended = {n for n, state in states.items() if state.is_finished()}
        running = {row for n, row in row_of.items() if n not in ended}
        failed = {row for n, row in row_of.items() if states.get(n) == TrialState.FAIL}
        table = np.array(list(values.values()), dtype=float).reshape(-1, len(flipped)) * flipped
        return Given(
            np.array([row_of[number] for number in values], dtype=np.int64),
            _finite(table),
            _sorted(running - done),
            _sorted(failed - done - running),
        )

    def _take_another(
        self,
        trials: Sequence[FrozenTrial],
        seen: Mapping[int, Sequence[float]],
        flipped: Vector,
    ) -> None:
        """Renew the pool, where that is possible, near the front of what was `seen`."""
        if not self._renew:
            return
        asked = self._asked(trials)
        front: list[Mapping[str, Any]] = []
        if seen:
            best = moocore.is_nondominated(np.array(list(seen.values())) * flipped)
            front = [asked[number] for number, kept in zip(seen, best, strict=True) if kept]
        self._take(*self._renew(self._whole(front), self._whole(list(asked.values()))))

    def _whole(self, points: Points) -> list[Mapping[str, Any]]:
        """Those points that have every parameter."""
        return [point for point in points if self._distributions.keys() <= point.keys()]

    def _take(self, pool: pd.DataFrame, known: Mapping[int, Vector]) -> None:
        """Choose from another pool from now on; what was learned of the parameters stays."""
        self._pool = Candidates(pool, known, self._distributions, self._stages)
        for surrogate in self._learned.values():
            surrogate.encoding = self._pool.encoding

    def _spread(self, free: NDArray[np.bool_]) -> int:
        """A free row in the widest gap of cost between those asked for."""
        if not self._pool.known:
            return int(self._rng.choice(np.flatnonzero(free)))
        by_cost = self._pool.by_cost
        taken = np.flatnonzero(~free[by_cost])
        if not len(taken):
            return int(by_cost[0])
        edges = np.concatenate([[0], taken, [len(free)]])
        gap = int(np.diff(edges).argmax())
        middle, width = (edges[gap] + edges[gap + 1]) / 2, edges[gap + 1] - edges[gap]
        place = round(middle + width * self._rng.uniform(-0.25, 0.25))
        near = np.flatnonzero(free[by_cost])
        return int(by_cost[near[np.abs(near - place).argmin()]])

    def _best(self, free: NDArray[np.bool_], given: Given, flipped: Vector, search: bool) -> int:
        """The free row of the largest expected gain."""
        done, values = given.done, given.values
        objectives = values.shape[1]
        learned = [m for m in range(objectives) if m not in self._pool.known]
        worst = np.empty(objectives)
        means = np.empty((len(free), objectives))
        for m, costs in self._pool.known.items():
            means[:, m] = costs * flipped[m]
            worst[m] = means[:, m].max()
        for m in learned:
            new = m not in self._learned
            surrogate = self._learned.setdefault(m, Surrogate(self._pool.encoding))
            # What failed is as bad as the worst, or it would be tried again all around.
            worst_seen = np.full(len(given.failed), values[:, m].max())
            rows = np.concatenate([done, given.failed])
            surrogate.fit(rows, np.concatenate([values[:, m], worst_seen]), search or new)
            means[:, m], worst[m] = surrogate.means(), ceiling(values[:, m])
        # A point is worth what was measured of it, and what is known: not what a study was told.
        points = means[np.concatenate([done, given.pending])]
        points[: len(done), learned] = values[:, learned]
        # Else the costliest candidate would gain nothing, nor would candidates of equal cost.
        span = np.ptp(np.minimum(points, worst), axis=0)
        worst += np.where(span > 0, 1e-3 * span, 1.0)
        surrogates = {m: self._learned[m] for m in learned}
        return best_row(np.flatnonzero(free), means, surrogates, points, worst)


def _finite(values: Matrix) -> Matrix:
    """With the worst finite value of its objective in place of one that is not finite."""
    finite = np.isfinite(values)
    worst = np.where(finite, values, -np.inf).max(axis=0, initial=-np.inf)
    return np.where(finite, values, np.where(np.isfinite(worst), worst, 0.0))


def _sorted(rows: set[int]) -> Rows:
    return np.array(sorted(rows), dtype=np.int64)
