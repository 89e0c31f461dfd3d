"""The Optuna study behind a run: one process asks and tells, and no architecture comes twice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from search.config import Sampler
from search.goal import Front, objective_values
from search.grey_box import START, Points, PoolExhausted
from search.journal import Journal
from search.samplers import make_sampler
from space.architecture import Architecture
from space.search_space import SearchSpace, Value, to_architecture

MOST_REFUSALS = 20
"""Suggestions refused in a row before a candidate is drawn from the pool instead."""

Costs = dict[str, float]
Numbers = NDArray[np.int64]
Known = Mapping[int, NDArray[np.float64]]
"""Objectives that nobody has to evaluate, by their number: of every architecture of a pool."""
Renewal = Callable[[Numbers, Numbers], tuple[Numbers, Known]]
"""From the numbers of the front and of all that was tried, a pool with its known objective."""


class Exhausted(Exception):
    """Every architecture of the pool has been evaluated or is being so."""


@dataclass(frozen=True)
class Candidate:
    """An architecture under evaluation, with its predicted costs."""

    trial: Trial
    architecture: Architecture
    costs: Costs


def open_study(journal: Journal, objectives: Sequence[str] = Front.objectives) -> optuna.Study:
    """The study of a journal.

    Where there is none, one is begun that minimises `objectives`: the BD-rate and costs, by name.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=JournalStorage(journal),
        study_name="search",
        directions=["minimize"] * len(objectives),
        load_if_exists=True,
    )
    if study.metric_names is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(objectives))
    return study


def counted(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that were evaluated, or stopped at a rung, or failed by themselves.

    Left out are suggestions that were refused and trials that an interruption cut off.
    """
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return [t for t in trials if t.state in ended or "error" in t.user_attrs]


class Asker:
    """Asks the study's sampler for new architectures that meet the constraints."""

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        pool: NDArray[np.int64],
        known: Known,
        price: Callable[[Architecture], Costs | None],
        sampler: Sampler,
        seed: int,
        renew: Renewal | None = None,
        start: int = START,
    ) -> None:
        """`pool` numbers the architectures that meet the constraints; `price` is None for others.

        `known` has, by number of the objective, those [pool] that nobody has to evaluate, on the
        scale that the hypervolume counts. Of a space that has more than one pool, `renew` gives
        another one. The sampler learns from `start` trials before it chooses.
        """
        self._study, self._space, self._pool, self._price = study, space, pool, price
        self._distributions: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(values)
            for name, values in space.parameters.items()
            if len(values) > 1
        }
        trials = study.get_trials(deepcopy=False)
        # A seed that ignored earlier trials would repeat the first draws on every continuation.
        entropy = np.random.SeedSequence([seed, len(trials)])
        study.sampler = make_sampler(
            sampler,
            space.points(pool),
            known,
            self._distributions,
            int(entropy.generate_state(1)[0]),
            renew and partial(self._renewed, renew),
            start,
        )
        self._rng = np.random.default_rng(entropy)
        self._seen = {trial.user_attrs["id"] for trial in counted(trials)}
        self._retry(trials)

    def _renewed(self, renew: Renewal, best: Points, tried: Points) -> tuple[pd.DataFrame, Known]:
        self._pool, known = renew(self._numbers(best), self._numbers(tried))
        return self._space.points(self._pool), known

    def _numbers(self, points: Points) -> NDArray[np.int64]:
        architectures = map(self._architecture, points)
        return np.array([self._space.number(a) for a in architectures], dtype=np.int64)

    def _architecture(self, point: Mapping[str, Value]) -> Architecture:
        """Of the values of the searched parameters."""
        fixed = {name: values[0] for name, values in self._space.parameters.items()}
        return to_architecture(fixed | dict(point))

    def _retry(self, trials: list[FrozenTrial]) -> None:
        """Ask again for what was running when an earlier driver died."""
        for trial in trials:
            if trial.state == TrialState.RUNNING:
                self._study.tell(trial.number, state=TrialState.FAIL)
                asked = trial.system_attrs.get("fixed_params", {}) | trial.params
                if asked.keys() == self._distributions.keys():
                    self._study.enqueue_trial(asked)

    def enqueue(self, architectures: Iterable[Architecture]) -> None:
        """Have these asked for before the sampler's own suggestions, in this order.

        Those that the study has asked for or will ask for already are left out.
        """
        for architecture in architectures:
            self._study.enqueue_trial(self._point(architecture), skip_if_exists=True)

    def _point(self, architecture: Architecture) -> dict[str, Value]:
        values = self._space.values(architecture)
        return {name: values[name] for name in self._distributions}

    def add(
        self, architecture: Architecture, bd_rate_percent: float, attrs: dict[str, Any]
    ) -> None:
        """Record an architecture that was evaluated without being asked for, unless it is there.

        `attrs` has its costs, and all else that its trial carries.
        """
        if architecture.id in self._seen:
            return
        trial = optuna.trial.create_trial(
            params=self._point(architecture),
            distributions=self._distributions,
            values=objective_values(self._study, bd_rate_percent, attrs["costs"]),
            user_attrs=_identity(architecture) | attrs,
        )
        self._study.add_trial(trial)
        self._seen.add(architecture.id)

    def ask(self) -> Candidate:
        """A candidate never seen before. Raises Exhausted when there is none.

        Where constraints or repetitions rule out most suggestions, it is a random one of the pool.
        """
        for _ in range(MOST_REFUSALS):
            if candidate := self._suggestion():
                return candidate
        for number in self._rng.permutation(self._pool):
            architecture = self._space.architecture(number)
            if architecture.id not in self._seen:
                self._study.enqueue_trial(self._point(architecture))
                if candidate := self._suggestion():
                    return candidate
        raise Exhausted

    def _drop_unasked(self) -> None:
        """Fail the trial that was begun before its sampler found nothing to suggest."""
        for trial in self._study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if "id" not in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.FAIL)

    def _suggestion(self) -> Candidate | None:
        try:
            trial = self._study.ask(self._distributions)
        except PoolExhausted as error:
            self._drop_unasked()
            raise Exhausted from error
        architecture = self._architecture(trial.params)
        costs = self._price(architecture)
        if costs is None or architecture.id in self._seen:
            self._study.tell(trial, state=TrialState.FAIL)
            return None
        self._seen.add(architecture.id)
        for name, value in (_identity(architecture) | {"costs": costs}).items():
            trial.set_user_attr(name, value)
        return Candidate(trial, architecture, costs)


def _identity(architecture: Architecture) -> dict[str, Any]:
    return {"id": architecture.id, "architecture": architecture.to_json()}
