"""A sampler for searches in which some objectives are known before anything is evaluated.

What a candidate costs on a phone is predicted; only its quality has to be learned. So the quality
alone gets a surrogate, and what each candidate may add to the front's hypervolume is computed for
all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.improvement import expected_gain
from search.surrogate import Encoding, Rows, Surrogate, ceiling

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

START = 12
"""Trials spread over the known objectives before a surrogate is fitted."""
REFIT = 1.1
"""Growth of the number of trials after which the surrogate's weights are searched anew."""
CELLS = 2**14
"""Of a grid of means and costs at whose lower corners upper bounds of gains are computed."""
EXPECTED_VALUES = "expected_values"
"""User attribute of pruned trials: what every objective would have come to."""
CHUNK, CHUNKS = 16_384, 4
"""Candidates whose gain is computed exactly at a time, by falling upper bound, until none of the
others can gain more; and how often at most, which bounds the time of a suggestion."""


class PoolExhausted(RuntimeError):
    """Every candidate of the pool has been asked for."""


@dataclass(frozen=True)
class Given:
    """What is known of a pool's rows."""

    done: Rows
    values: Matrix
    """Objectives [done, objectives], minimised."""
    stopped: Rows
    expected: Matrix
    """Objectives [stopped, objectives] that pruned trials would have come to, minimised."""
    pending: Rows
    failed: Rows


class GreyBoxSampler(BaseSampler):
    """Expected hypervolume improvement over a pool of candidates whose costs are known.

    For any Optuna study whose trials one process asks for, from several threads if need be: trials
    that are running count as if they gave what is expected of them, those that failed as if they
    were as bad as the worst, and pruned ones teach their `EXPECTED_VALUES`, where they have any. No
    candidate is suggested twice. Parameters outside the pool are drawn at random.
    """

    def __init__(
        self,
        pool: pd.DataFrame,
        known: Mapping[int, Vector],
        distributions: Mapping[str, BaseDistribution],
        start: int = START,
        seed: int | None = None,
    ) -> None:
        """`pool` has a row per candidate and a column per parameter, whose values are in its
        distribution. `known` has, by number of the objective, every row's value in the direction
        of the study, on any rising scale; the hypervolume is that of this scale. The first `start`
        trials, 1 or more, are spread over the first of them.
        """
        self._pool, self._distributions = pool.reset_index(drop=True), dict(distributions)
        self._known = {number: np.asarray(v, dtype=float) for number, v in known.items()}
        self._start = start
        self._rng = np.random.default_rng(seed)
        self._others = RandomSampler(seed=seed)
        encoding = Encoding(self._pool)
        self._surrogate = lambda: Surrogate(encoding)
        self._learned: dict[int, Surrogate] = {}
        self._handed: set[int] = set()
        self._lock = Lock()
        self._searched_at = 0
        self._row_of = _Index(self._pool)
        if self._known:
            first = next(iter(self._known.values()))
            self._by_cost = first.argsort(kind="stable")

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
            self._handed.add(row)
        return {name: _plain(self._pool[name].iat[row]) for name in self._distributions}

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
        rows = self._row_of([t.system_attrs.get("fixed_params", {}) | t.params for t in trials])
        # Those that run or wait, of this process also where the study does not say so yet.
        taken = self._handed | set(rows[rows >= 0].tolist())
        free = np.ones(len(self._pool), dtype=bool)
        free[list(taken)] = False
        if not free.any():
            raise PoolExhausted(f"all {len(free):,} candidates have been asked for")
        told = [(t, row) for t, row in zip(trials, rows.tolist(), strict=True) if row >= 0]
        done = [(row, t.values) for t, row in told if t.state == TrialState.COMPLETE]
        stopped = [
            (row, t.user_attrs[EXPECTED_VALUES])
            for t, row in told
            if t.state == TrialState.PRUNED and EXPECTED_VALUES in t.user_attrs
        ]
        if len(done) + len(stopped) < self._start or not done:
            return self._spread(free)
        flipped = np.array(
            [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in study.directions]
        )
        known = [_rows_and_values(seen, flipped) for seen in (done, stopped)]
        failed = {row for t, row in told if t.state == TrialState.FAIL} - {row for row, _ in done}
        ended = {row for t, row in told if t.state.is_finished()}
        given = Given(*known[0], *known[1], _sorted(taken - ended), _sorted(failed))
        return self._best(free, given, flipped)

    def _spread(self, free: NDArray[np.bool_]) -> int:
        """A free row in the widest gap of cost between those asked for."""
        if not self._known:
            return int(self._rng.choice(np.flatnonzero(free)))
        taken = np.flatnonzero(~free[self._by_cost])
        if not len(taken):
            return int(self._by_cost[0])
        edges = np.concatenate([[0], taken, [len(free)]])
        gap = int(np.diff(edges).argmax())
        middle, width = (edges[gap] + edges[gap + 1]) / 2, edges[gap + 1] - edges[gap]
        place = round(middle + width * self._rng.uniform(-0.25, 0.25))
        near = np.flatnonzero(free[self._by_cost])
        return int(self._by_cost[near[np.abs(near - place).argmin()]])

    def _best(self, free: NDArray[np.bool_], given: Given, flipped: Vector) -> int:
        """The free row of the largest expected gain."""
        done, values = given.done, given.values
        objectives = values.shape[1]
        learned = [m for m in range(objectives) if m not in self._known]
        learnt_from = np.concatenate([done, given.stopped, given.failed])
        search = len(learnt_from) >= self._searched_at * REFIT
        self._searched_at = len(learnt_from) if search else self._searched_at
        worst = np.empty(objectives)
        means = np.empty((len(free), objectives))
        for m, costs in self._known.items():
            means[:, m] = costs * flipped[m]
            worst[m] = means[:, m].max()
        for m in learned:
            surrogate = self._learned.setdefault(m, self._surrogate())
            seen = np.concatenate([values[:, m], given.expected[:, m]])
            # What failed is as bad as the worst, or it would be tried again all around.
            worst_seen = np.full(len(given.failed), seen.max())
            surrogate.fit(learnt_from, np.concatenate([seen, worst_seen]), search)
            means[:, m], worst[m] = surrogate.means(), ceiling(seen)
        # A point is worth what was measured of it, and what is known: not what a study was told.
        points = means[np.concatenate([done, given.pending])]
        points[: len(done), learned] = values[:, learned]
        # Else the costliest candidate would gain nothing, nor would candidates of equal cost.
        span = np.ptp(np.minimum(points, worst), axis=0)
        worst += np.where(span > 0, 1e-3 * span, 1.0)
        rows = np.flatnonzero(free)
        if len(rows) > CHUNK:
            bound = self._bounds(means[rows], points, worst, learned)
            most = min(CHUNK * CHUNKS, len(rows))
            order = np.argpartition(-bound, most - 1)[:most]
            order = order[np.argsort(-bound[order])]
            rows, bound = rows[order], bound[order]
        else:
            bound = np.full(len(rows), np.inf)
        best_row, best_gain = -1, -np.inf
        for first in range(0, len(rows), CHUNK):
            if bound[first] <= best_gain:
                break
            asked = rows[first : first + CHUNK]
            mean, deviation = means[asked], np.zeros((len(asked), objectives))
            for m in learned:
                mean[:, m], deviation[:, m] = self._learned[m].posterior(asked)
            gains = expected_gain(mean, deviation, points, worst)
            if gains.max() > best_gain:
                best_row, best_gain = int(asked[gains.argmax()]), float(gains.max())
        return best_row

    def _bounds(self, means: Matrix, points: Matrix, worst: Vector, learned: list[int]) -> Vector:
        """Upper bounds of expected gains: those of a grid's lower corners, as unsure as can be.

        An expected gain falls with every mean and rises with every deviation.
        """
        deviation = np.zeros(len(worst))
        for m in learned:
            deviation[m] = self._learned[m].prior_deviation
        low, high = means.min(axis=0), means.max(axis=0)
        steps = round(CELLS ** (1 / len(worst)))
        width = np.maximum(high - low, 1e-12) / steps
        shape = [steps + 1] * len(worst)
        cells = np.ravel_multi_index(tuple(((means - low) / width).astype(np.int64).T), shape)
        bounds = np.zeros(math.prod(shape))
        filled = np.flatnonzero(np.bincount(cells, minlength=len(bounds)))
        corners = low + np.stack(np.unravel_index(filled, shape), axis=1) * width
        unsure = np.broadcast_to(deviation, corners.shape)
        bounds[filled] = expected_gain(corners, unsure, points, worst)
        return bounds[cells]


class _Index:
    """Row of a pool by its parameters' values."""

    def __init__(self, pool: pd.DataFrame) -> None:
        self._values = {
            str(name): {value: i for i, value in enumerate(pd.unique(pool[name]))} for name in pool
        }
        rng = np.random.default_rng(0)
        self._words = [rng.integers(2**63, size=len(v)) for v in self._values.values()]
        codes = [pool[name].map(v).to_numpy(np.int64) for name, v in self._values.items()]
        keys = self._keys(np.stack(codes))
        self._order = keys.argsort(kind="stable")
        self._sorted = keys[self._order]

    def _keys(self, codes: NDArray[np.int64]) -> Rows:
        """Sums of a random word per value: unlike products, they fit whatever the number of
        parameters, and of millions of rows no two are likely to be equal.
        """
        words = zip(self._words, codes, strict=True)
        return np.sum([values[code] for values, code in words], axis=0, dtype=np.int64)

    def __call__(self, points: Iterable[Mapping[str, Any]]) -> Rows:
        """Rows [n] of n points, -1 for one that the pool lacks."""
        codes = [
            [values.get(point.get(name), -1) for name, values in self._values.items()]
            for point in points
        ]
        if not codes:
            return np.empty(0, dtype=np.int64)
        asked = np.array(codes)
        here = (asked >= 0).all(axis=1)
        keys = self._keys(np.where(asked >= 0, asked, 0).T)
        place = np.searchsorted(self._sorted, keys).clip(max=len(self._sorted) - 1)
        found = here & (self._sorted[place] == keys)
        return np.where(found, self._order[place], -1)


def _rows_and_values(
    seen: Sequence[tuple[int, Sequence[float]]], flipped: Vector
) -> tuple[Rows, Matrix]:
    """Rows [n] and what to minimise [n, objectives]."""
    values = np.array([values for _, values in seen], dtype=float).reshape(-1, len(flipped))
    return np.array([row for row, _ in seen], dtype=np.int64), values * flipped


def _sorted(rows: set[int]) -> Rows:
    return np.array(sorted(rows), dtype=np.int64)


def _plain(value: Any) -> Any:
    """A value of numpy as one of Python, which Optuna's storages ask for."""
    return value.item() if isinstance(value, np.generic) else value
