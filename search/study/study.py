"""The Optuna study of a run: one process asks and tells; no architecture is evaluated twice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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

from search.config.schema import ConfigError, Sampler
from search.sampler.grey_box import START, GreyBoxSampler, Points, PoolExhausted
from search.storage.database import KEY, Database
from search.study.goal import objective_values
from search.study.journal import REMEDY, Journal, JournalError, JournalSnapshot
from search.study.objectives import PAIR, bd_rate_column
from search.study.rungs import EXPECTED_PERCENT
from search.study.samplers import make_sampler
from space.architecture import Architecture
from space.search_space import SearchSpace, Value, to_architecture

NAME = "search"
"""Name of a run's study."""
MAX_REFUSALS = 20
"""Number of consecutive refused suggestions after which a candidate is drawn from the pool. A
suggestion is refused if it violates the constraints or repeats an architecture."""

PREDICTED = "predicted"
"""User attribute of a trial whose candidate the grey-box sampler's model chose: the forecast mean
and standard deviation of each BD-rate that is an objective, by column, in percent."""

TAKEN_UP = "taken_up"
"""User attribute of a trial that an earlier process began: the UTC time, in ISO 8601, at which a
process last took it up again."""

TRIAL_ATTRS = {"id", "architecture", "costs"}
"""User attributes of every trial that counts."""

Costs = dict[str, float]
Numbers = NDArray[np.int64]
Known = Mapping[int, NDArray[np.float64]]
"""Values [pool] of each objective that is predicted, by index of the objective."""
NumberRenewal = Callable[[Numbers, Numbers], tuple[Numbers, Known]]
"""Function that supplies the numbers of a new pool, and the `Known` values of that pool. Its
arguments are the numbers of the architectures on the current front, and those of all architectures
suggested so far."""


class Exhausted(Exception):
    """Every architecture of the pool has been evaluated or is under evaluation."""


@dataclass(frozen=True)
class Candidate:
    """An architecture under evaluation, with its predicted costs."""

    trial: Trial
    architecture: Architecture
    costs: Costs


def open_study(
    journal: Journal | JournalSnapshot, objectives: Sequence[str] = PAIR
) -> optuna.Study:
    """Open the study of a journal, or create it if the journal is empty.

    The study of a snapshot is created and changed in memory alone.

    A new study minimises `objectives`, given as columns (see search/study/objectives.py). Raises
    JournalError if the journal is damaged.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if journal.check():
        # `create_study` would write an entry even if the study exists.
        study = _replayed(journal)
        _check_trials(study, journal)
    else:
        study = optuna.create_study(
            study_name=NAME,
            storage=JournalStorage(journal),
            directions=["minimize"] * len(objectives),
        )
    if study.metric_names is None:
        _name_metrics(study, objectives)
    return study


def _name_metrics(study: optuna.Study, objectives: Sequence[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(list(objectives))


def _replayed(journal: Journal | JournalSnapshot) -> optuna.Study:
    """The study of a journal that has entries. Raises JournalError if they do not form one."""
    try:
        return optuna.load_study(study_name=NAME, storage=JournalStorage(journal))
    # Entries that do not fit together make Optuna raise errors of many kinds.
    except Exception as error:
        raise JournalError(
            f"{journal.path}: is broken, its entries form no study "
            f"({type(error).__name__}: {error}); {REMEDY}"
        ) from error


def _check_trials(study: optuna.Study, journal: Journal | JournalSnapshot) -> None:
    """Raise JournalError if entries of a trial that counts are missing from the journal."""
    for trial in counted(study.get_trials(deepcopy=False)):
        if missing := TRIAL_ATTRS - trial.user_attrs.keys():
            what = f"trial {trial.number} lacks its {min(missing)}"
            raise JournalError(f"{journal.path}: is broken, {what}; {REMEDY}")


def create_in_database(database: Database, objectives: Sequence[str]) -> None:
    """Create a study that minimises `objectives` in a database. Raises ConfigError."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with database.readable_errors():
        study = optuna.create_study(
            study_name=database.study,
            storage=database.storage(),
            directions=["minimize"] * len(objectives),
        )
        _name_metrics(study, objectives)


def open_in_database(database: Database, reading: bool = False) -> optuna.Study:
    """Open the study of a database, perhaps only for `reading`.

    Raises ConfigError if the database cannot be reached, or lacks the study.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with database.readable_errors():
            return optuna.load_study(study_name=database.study, storage=database.storage(reading))
    except KeyError:
        raise ConfigError(
            f"{KEY}={database.url}: has no study '{database.study}'; expected the database that "
            f"the run began with, also by another name of its host"
        ) from None


def counted(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Those of `trials` that count towards the budget: evaluated, stopped at a rung, or failed.

    Refused suggestions and interrupted trials do not count.
    """
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return [t for t in trials if t.state in ended or "error" in t.user_attrs]


class EndedTrials:
    """The trials of a study that count towards the budget, each reported once after it ended."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._read, self._open = 0, list[int]()
        self._distributions: dict[tuple[str, BaseDistribution], BaseDistribution] = {}

    def new(self) -> list[FrozenTrial]:
        """The trials that ended since the last call, in the order of their numbers."""
        trials = self._study.get_trials(deepcopy=False)
        ended = []
        numbers, self._open = [*self._open, *range(self._read, len(trials))], []
        for number in numbers:
            if trials[number].state.is_finished():
                self._share_distributions(trials[number])
                ended.append(trials[number])
            else:
                self._open.append(number)
        self._read = len(trials)
        return counted(ended)

    def _share_distributions(self, trial: FrozenTrial) -> None:
        """Let a trial have the same objects as others, instead of 6 kB of equal ones of its own."""
        trial.distributions = {
            name: self._distributions.setdefault((name, distribution), distribution)
            for name, distribution in trial.distributions.items()
        }


class Proposer:
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
        renew: NumberRenewal | None = None,
        start: int = START,
    ) -> None:
        """Create a proposer, and take up the trials that an interrupted process left running.

        `pool` contains the numbers of the architectures that meet the constraints. `known` maps the
        index of each predicted objective to the objective's values [pool], on the scale on which
        hypervolume is measured. `price` returns the costs of an architecture, or None if it may not
        be a candidate. `renew`, if given, supplies another pool, for a space that is larger than
        one pool. The grey-box sampler's model chooses candidates after `start` trials.
        """
        self._study, self._space, self._pool, self._price = study, space, pool, price
        self._distributions: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(values)
            for name, values in space.parameters.items()
            if len(values) > 1
        }
        trials = study.get_trials(deepcopy=False)
        # If the seed ignored earlier trials, every continuation would repeat the first draws.
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
        self.interrupted = self._taken_up(trials)
        """Candidates that an earlier process left running, in order of their trials."""
        self._seen |= {candidate.architecture.id for candidate in self.interrupted}

    def _renewed(
        self, renew: NumberRenewal, best: Points, tried: Points
    ) -> tuple[pd.DataFrame, Known]:
        self._pool, known = renew(self._numbers(best), self._numbers(tried))
        return self._space.points(self._pool), known

    def _numbers(self, points: Points) -> NDArray[np.int64]:
        architectures = map(self._architecture, points)
        return np.array([self._space.number(a) for a in architectures], dtype=np.int64)

    def _architecture(self, point: Mapping[str, Value]) -> Architecture:
        """The architecture with these values of the searched parameters."""
        fixed = {name: values[0] for name, values in self._space.parameters.items()}
        return to_architecture(fixed | dict(point))

    def _taken_up(self, trials: list[FrozenTrial]) -> list[Candidate]:
        """The candidates of the trials that were running when an earlier process was interrupted.

        A trial that is recorded to have failed, or to be stopped at a rung, ends so. A trial that
        was interrupted before its architecture was recorded fails, and its parameters are enqueued.
        """
        candidates = []
        for trial in trials:
            if trial.state != TrialState.RUNNING:
                continue
            if "error" in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.FAIL)
            elif EXPECTED_PERCENT in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.PRUNED)
            elif trial.user_attrs.keys() >= TRIAL_ATTRS:
                candidates.append(self._again(trial))
            else:
                self._study.tell(trial.number, state=TrialState.FAIL)
                asked = trial.system_attrs.get("fixed_params", {}) | trial.params
                if asked.keys() == self._distributions.keys():
                    self._study.enqueue_trial(asked)
        return candidates

    def _again(self, frozen: FrozenTrial) -> Candidate:
        """The candidate of a trial that another process asked for."""
        # Optuna has no other way to a trial of another process that it would not ask for.
        trial = Trial(self._study, frozen._trial_id)
        trial.set_user_attr(TAKEN_UP, datetime.now(UTC).isoformat())
        architecture = Architecture.from_json(frozen.user_attrs["architecture"])
        return Candidate(trial, architecture, frozen.user_attrs["costs"])

    def enqueue(self, architectures: Iterable[Architecture]) -> None:
        """Propose these architectures, in this order, before the sampler's own suggestions.

        Architectures that the study has already evaluated or enqueued are left out.
        """
        for architecture in architectures:
            self._study.enqueue_trial(self._point(architecture), skip_if_exists=True)

    def _point(self, architecture: Architecture) -> dict[str, Value]:
        values = self._space.values(architecture)
        return {name: values[name] for name in self._distributions}

    def add(
        self, architecture: Architecture, bd_rate_percent: float, attrs: dict[str, Any]
    ) -> None:
        """Record an evaluated architecture that was not proposed, unless the study has it already.

        `attrs` are the user attributes of its trial. They include the predicted `costs`, and
        `bd_rates` by metric if the study minimises several BD-rates.
        """
        if architecture.id in self._seen:
            return
        rates = {bd_rate_column(m): rate for m, rate in attrs.get("bd_rates", {}).items()}
        trial = optuna.trial.create_trial(
            params=self._point(architecture),
            distributions=self._distributions,
            values=objective_values(self._study, bd_rate_percent, attrs["costs"] | rates),
            user_attrs=_identity(architecture) | attrs,
        )
        self._study.add_trial(trial)
        self._seen.add(architecture.id)

    def ask(self) -> Candidate:
        """Return a candidate that was not proposed before. Raises Exhausted if there is none.

        If constraints or repetitions rule out most suggestions, a random candidate of the pool is
        returned.
        """
        for _ in range(MAX_REFUSALS):
            if candidate := self._suggestion():
                return candidate
        for number in self._rng.permutation(self._pool):
            architecture = self._space.architecture(number)
            if architecture.id not in self._seen:
                self._study.enqueue_trial(self._point(architecture))
                if candidate := self._suggestion():
                    return candidate
        raise Exhausted

    def _fail_empty_trial(self) -> None:
        """Fail the trial that Optuna created before the sampler found the pool exhausted."""
        for trial in self._study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if "id" not in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.FAIL)

    def _suggestion(self) -> Candidate | None:
        try:
            trial = self._study.ask(self._distributions)
        except PoolExhausted as error:
            self._fail_empty_trial()
            raise Exhausted from error
        architecture = self._architecture(trial.params)
        costs = self._price(architecture)
        if costs is None or architecture.id in self._seen:
            self._study.tell(trial, state=TrialState.FAIL)
            return None
        self._seen.add(architecture.id)
        attrs = _identity(architecture) | {"costs": costs} | self._prediction(trial)
        for name, value in attrs.items():
            trial.set_user_attr(name, value)
        return Candidate(trial, architecture, costs)

    def _prediction(self, trial: Trial) -> dict[str, Any]:
        """The user attribute `PREDICTED` of a suggested trial, if the sampler made a forecast."""
        sampler, names = self._study.sampler, self._study.metric_names
        if not (names and isinstance(sampler, GreyBoxSampler)):
            return {}
        found = {names[m]: list(pair) for m, pair in sampler.prediction(trial.number).items()}
        return {PREDICTED: found} if found else {}


def _identity(architecture: Architecture) -> dict[str, Any]:
    return {"id": architecture.id, "architecture": architecture.to_json()}
