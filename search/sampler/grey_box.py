"""An Optuna sampler for searches in which some objectives are known before any evaluation.

The cost of a candidate on a phone is predicted; only its quality has to be learned, so only quality
gets a surrogate model. An upper bound of the expected hypervolume improvement (EHVI) is computed
for every candidate of the pool, and the exact value for those with the largest bounds.
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
from optuna.trial import FrozenTrial

from search.sampler.acquisition import best_row
from search.sampler.candidates import Candidates
from search.sampler.encoding import Rows
from search.sampler.history import History, point_of
from search.sampler.subset import FAILED, informative
from search.sampler.surrogate import Surrogate, ceiling

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Points = Sequence[Mapping[str, Any]]
"""Some candidates, each as the values of its parameters by name."""
Renewal = Callable[[Points, Points], tuple[pd.DataFrame, Mapping[int, Vector]]]
"""Function that supplies a new pool and the known objectives of that pool. Its arguments are the
points of the current front, and all points suggested so far."""
Forecaster = Callable[[Study, Sequence[FrozenTrial]], Mapping[int, Sequence[float]]]
"""Function that forecasts the objectives of some of a study's trials. Its arguments are the study
and the study's trials; the result maps the number of a trial to forecasts of all objectives."""

Prediction = Mapping[int, tuple[float, float]]
"""Mean and standard deviation that were forecast for objectives of a candidate, by index of the
objective."""

START = 12
"""Default number of trials, spread over the first known objective, before a surrogate is
fitted."""
REFIT = 1.1
"""The surrogate's hyperparameters are optimised again when the number of trials has grown by this
factor."""


class PoolExhausted(RuntimeError):
    """Every candidate of the pool has been suggested."""


@dataclass(frozen=True)
class Observations:
    """The rows of the pool that were suggested, by state of their trials, with known values."""

    done: Rows
    """Rows [done] with measured or forecast values."""
    values: Matrix
    """Objectives [done, objectives], signed so that all are minimised."""
    pending: Rows
    """Rows of running trials that have no values yet."""
    failed: Rows
    """Rows of the newest `FAILED` failed trials."""


class GreyBoxSampler(BaseSampler):
    """Maximises the EHVI over a pool of candidates, some of whose objectives are known.

    It works with any Optuna study if a single process asks for all trials; the process may have
    several threads. A running trial counts as if it had reached its posterior mean, and a failed
    trial as if it had the worst value seen so far. A pruned trial counts only if `forecast` returns
    values for it. No candidate is suggested twice. Parameters outside the pool are drawn at random.
    """

    def __init__(
        self,
        pool: pd.DataFrame,
        known: Mapping[int, Vector],
        distributions: Mapping[str, BaseDistribution],
        start: int = START,
        seed: int | None = None,
        renew: Renewal | None = None,
        forecast: Forecaster = lambda study, trials: {},
        stages: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Create a sampler.

        Args:
            pool: One row per candidate and one column per parameter, with values that lie in the
                parameter's distribution.
            known: Values [rows] of the known objectives, by index of the objective. The study's
                direction applies to them. They may be on any increasing scale, such as the
                logarithm; hypervolume is measured on this scale.
            distributions: Optuna's distribution of each parameter.
            start: Number of first trials, at least 1, that are spread over the first known
                objective.
            seed: Seed of all random draws.
            renew: Function that supplies another pool, for a space too large for one pool. It is
                called whenever the surrogate's hyperparameters are optimised again, and when all
                candidates of the pool have been suggested. The new pool should contain the points
                suggested so far, since points outside the pool teach the surrogate nothing.
            forecast: Function that forecasts the objectives of trials that are not complete. These
                values count as if they had been measured.
            stages: Name of the stage of each parameter, by parameter. A parameter without an entry
                is a stage of its own. The surrogate expects objectives that are nearly a sum over
                stages.

        Raises ValueError if `start` is below 1, if the pool repeats a candidate or does not fit the
        distributions, or if the known objectives do not fit the pool.
        """
        self._distributions, self._stages = dict(distributions), dict(stages)
        self._pool = Candidates(pool, known, self._distributions, self._stages)
        self._history = History(self._pool)
        self._renew, self._forecast = renew, forecast
        if start < 1:
            raise ValueError(f"start={start}: expected at least 1")
        self._start = start
        self._rng = np.random.default_rng(seed)
        self._independent = RandomSampler(seed=seed)
        self._surrogates: dict[int, Surrogate] = {}
        self._suggested: dict[int, Mapping[str, Any]] = {}
        self._predictions: dict[int, Prediction] = {}
        self._lock = Lock()
        self._optimised_at = 0

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The distributions of the pool's parameters."""
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of one candidate. Raises PoolExhausted if none is left."""
        # The study does not have the suggestions to other threads yet.
        with self._lock:
            row, self._predictions[trial.number] = self._next(study, trial)
            point = self._pool.point(row)
            self._suggested[trial.number] = point
            self._history.free[row] = False
        return point

    def prediction(self, number: int) -> Prediction:
        """The forecast for the candidate that was suggested to the trial with this number.

        It has every objective that is not known, in the study's unit and direction. The standard
        deviation is that of a measured value, with the noise. The forecast is empty if no surrogate
        was fitted before the suggestion, or if the trial was enqueued.
        """
        return self._predictions.get(number, {})

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random value of a parameter outside the pool."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _next(self, study: Study, trial: FrozenTrial) -> tuple[int, Prediction]:
        """A free row, and the forecast of the objectives that were learned for it."""
        trials = study.get_trials(deepcopy=False)
        signs = self._signs(study)
        self._history.read(trials, self._suggested, trial.number)
        seen = dict(self._forecast(study, trials)) | self._history.values
        optimise = len(seen) >= max(self._start, self._optimised_at * REFIT)
        if optimise:
            self._optimised_at = len(seen)
            self._renew_pool(trials, trial.number, seen, signs)
        if not self._history.free.any():
            self._renew_pool(trials, trial.number, seen, signs)
        free = self._history.free
        if not free.any():
            raise PoolExhausted(f"all {len(free):,} candidates have been suggested")
        matching = free & self._pool.matching(trial.system_attrs.get("fixed_params", {}))
        free = matching if matching.any() else free
        observations = self._observations(seen, signs)
        if len(observations.done) < self._start:
            return self._spread(free), {}
        row = self._best(free, observations, signs, optimise)
        return row, self._predicted(row, signs) if matching.any() else {}

    def _signs(self, study: Study) -> Vector:
        """Factors [objectives], -1 or 1, with which all objectives are minimised."""
        most = max(self._pool.known, default=-1)
        if most >= len(study.directions):
            raise ValueError(
                f"objective {most} is known, but the study has {len(study.directions)} "
                f"objectives, counted from 0"
            )
        return np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in study.directions])

    def _observations(self, seen: Mapping[int, Sequence[float]], signs: Vector) -> Observations:
        row_of = self._history.rows
        values = {n: values for n, values in seen.items() if n in row_of}
        done = {row_of[number] for number in values}
        # A candidate that was interrupted and is evaluated again has a failed and a running trial.
        running = {row_of[n] for n in self._history.running if n in row_of}
        failed = {row_of[n] for n in self._history.failed[-FAILED:] if n in row_of}
        table = np.array(list(values.values()), dtype=float).reshape(-1, len(signs)) * signs
        return Observations(
            np.array([row_of[number] for number in values], dtype=np.int64),
            _finite(table),
            _sorted(running - done),
            _sorted(failed - done - running),
        )

    def _renew_pool(
        self,
        trials: Sequence[FrozenTrial],
        asked: int,
        seen: Mapping[int, Sequence[float]],
        signs: Vector,
    ) -> None:
        """Replace the pool by one near the front of the values `seen`, if there is a `renew`."""
        if not self._renew:
            return
        earlier = [t for t in trials if t.number != asked]
        suggested = {t.number: point_of(t, self._suggested) for t in earlier}
        front: list[Mapping[str, Any]] = []
        if seen:
            best = moocore.is_nondominated(np.array(list(seen.values())) * signs)
            front = [suggested[number] for number, kept in zip(seen, best, strict=True) if kept]
        everything = self._complete(list(suggested.values()))
        self._replace_pool(*self._renew(self._complete(front), everything))
        self._history.read(trials, self._suggested, asked)

    def _complete(self, points: Points) -> list[Mapping[str, Any]]:
        """The points that have a value of every parameter."""
        return [point for point in points if self._distributions.keys() <= point.keys()]

    def _replace_pool(self, pool: pd.DataFrame, known: Mapping[int, Vector]) -> None:
        """Choose from another pool from now on; the surrogates keep their hyperparameters."""
        self._pool = Candidates(pool, known, self._distributions, self._stages)
        self._history = History(self._pool)
        for surrogate in self._surrogates.values():
            surrogate.encoding = self._pool.encoding

    def _spread(self, free: NDArray[np.bool_]) -> int:
        """A free row in the widest gap, by rank of cost, between the rows suggested so far."""
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

    def _best(
        self,
        free: NDArray[np.bool_],
        observations: Observations,
        signs: Vector,
        optimise: bool,
    ) -> int:
        """The free row with the largest EHVI."""
        done, values = observations.done, observations.values
        objectives = values.shape[1]
        learned = [m for m in range(objectives) if m not in self._pool.known]
        reference_point = np.empty(objectives)
        means = np.empty((len(free), objectives))
        for m, costs in self._pool.known.items():
            means[:, m] = costs * signs[m]
            reference_point[m] = means[:, m].max()
        observed = means[done]
        observed[:, learned] = values[:, learned]
        kept = informative(observed)
        for m in learned:
            new = m not in self._surrogates
            surrogate = self._surrogates.setdefault(m, Surrogate(self._pool.encoding))
            # Failed candidates get the worst value seen; otherwise their neighbours would be tried.
            worst_seen = np.full(len(observations.failed), values[:, m].max())
            rows = np.concatenate([done[kept], observations.failed])
            surrogate.fit(rows, np.concatenate([values[kept, m], worst_seen]), optimise or new)
            means[:, m], reference_point[m] = surrogate.means(), ceiling(values[:, m])
        # Known objectives come from the pool, not from the values that the study was told.
        points = np.concatenate([observed, means[observations.pending]])
        # Without this margin the costliest candidate, or those of equal cost, would add nothing.
        span = np.ptp(np.minimum(points, reference_point), axis=0)
        reference_point += np.where(span > 0, 1e-3 * span, 1.0)
        surrogates = {m: self._surrogates[m] for m in learned}
        return best_row(np.flatnonzero(free), means, surrogates, points, reference_point)

    def _predicted(self, row: int, signs: Vector) -> Prediction:
        """Forecast of the learned objectives of a row, by the surrogates as they are fitted now."""
        found = {}
        for m, surrogate in self._surrogates.items():
            mean, std = surrogate.predict(np.array([row]))
            found[m] = (float(mean[0] * signs[m]), float(std[0]))
        return found


def _finite(values: Matrix) -> Matrix:
    """The values, with the worst finite value of the objective in place of each non-finite one."""
    finite = np.isfinite(values)
    worst = np.where(finite, values, -np.inf).max(axis=0, initial=-np.inf)
    return np.where(finite, values, np.where(np.isfinite(worst), worst, 0.0))


def _sorted(rows: set[int]) -> Rows:
    return np.array(sorted(rows), dtype=np.int64)
