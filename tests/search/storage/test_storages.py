"""The conformance suite of storages of a study: the journal of a folder, and a database."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from search.config.schema import Sampler
from search.storage.database import Database
from search.study.goal import objective_values
from search.study.journal import JOURNAL, Journal, drop_torn_line
from search.study.objectives import PAIR
from search.study.study import (
    Proposer,
    counted,
    create_in_database,
    open_in_database,
    open_study,
)
from space.architecture import Architecture
from space.search_space import SearchSpace


@dataclass
class InJournal:
    folder: Path

    @property
    def place(self) -> Journal:
        return Journal.of(self.folder)

    def create(self) -> optuna.Study:
        return self.open()

    def open(self) -> optuna.Study:
        drop_torn_line(self.folder)
        return open_study(self.place)

    read = open


@dataclass
class InDatabase:
    place: Database

    def create(self) -> optuna.Study:
        create_in_database(self.place, PAIR)
        return self.open()

    def open(self) -> optuna.Study:
        return open_in_database(self.place)

    def read(self) -> optuna.Study:
        return open_in_database(self.place, reading=True)


Store = InJournal | InDatabase


@pytest.fixture(params=["journal", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "journal":
        return InJournal(tmp_path)
    return InDatabase(Database.of(request.getfixturevalue("url"), "a-study"))


def price(architecture: Architecture) -> dict[str, float]:
    return {"decode_ms": float(sum(chain.C for chain in architecture.decoder))}


def proposer(study: optuna.Study, space: SearchSpace) -> Proposer:
    return Proposer(study, space, np.arange(space.size), {}, price, Sampler.random, seed=0)


def finish(study: optuna.Study, asking: Proposer, trials: int) -> None:
    for _ in range(trials):
        candidate = asking.ask()
        study.tell(candidate.trial, objective_values(study, -1.5, candidate.costs))


def test_a_new_study_is_empty_and_has_its_objectives(store: Store) -> None:
    assert store.create().trials == []
    for study in (store.open(), store.read()):
        assert study.trials == []
        assert study.metric_names == list(PAIR)


def test_a_study_is_continued(store: Store, tiny: SearchSpace) -> None:
    first = store.create()
    finish(first, proposer(first, tiny), 3)
    again = store.open()
    assert [t.params for t in again.trials] == [t.params for t in first.trials]
    assert [t.user_attrs for t in again.trials] == [t.user_attrs for t in first.trials]
    assert [t.values for t in again.trials] == [t.values for t in first.trials]
    finish(again, proposer(again, tiny), 3)
    assert len({t.user_attrs["id"] for t in counted(store.read().trials)}) == 6


def test_a_batch_of_entries(store: Store, tiny: SearchSpace) -> None:
    place = store.place
    store.create()
    study = store.open() if isinstance(place, Database) else open_study(place)
    asking = proposer(study, tiny)
    with place.batch():
        finish(study, asking, 3)
        assert len(counted(study.trials)) == 3
    assert len(counted(store.read().trials)) == 3


def test_reading_changes_nothing(store: Store, tiny: SearchSpace, tmp_path: Path) -> None:
    study = store.create()
    finish(study, proposer(study, tiny), 2)
    running = proposer(study, tiny).ask()
    before = (tmp_path / JOURNAL).read_bytes() if isinstance(store, InJournal) else study.trials
    states = [t.state for t in store.read().trials]
    assert states.count(TrialState.RUNNING) == 1
    after = (tmp_path / JOURNAL).read_bytes() if isinstance(store, InJournal) else study.trials
    assert after == before
    study.tell(running.trial, state=TrialState.FAIL)


def test_interrupted_trials_are_taken_up(store: Store, tiny: SearchSpace) -> None:
    study = store.create()
    first = proposer(study, tiny)
    finish(study, first, 2)
    cut_off = [first.ask() for _ in range(2)]
    cut_off[0].trial.set_user_attr("rung_rates", {"0": 1.5})

    again = store.open()
    second = proposer(again, tiny)
    assert [c.trial.number for c in second.interrupted] == [c.trial.number for c in cut_off]
    assert [c.architecture for c in second.interrupted] == [c.architecture for c in cut_off]
    assert second.interrupted[0].trial.user_attrs["rung_rates"] == {"0": 1.5}
    for candidate in second.interrupted:
        again.tell(candidate.trial, objective_values(again, 1.0, candidate.costs))
    ended = counted(store.read().trials)
    assert len(ended) == len({t.user_attrs["id"] for t in ended}) == 4


def test_a_torn_end_costs_the_entries_of_its_batch_alone(tiny: SearchSpace, tmp_path: Path) -> None:
    """A database has no torn end, since it writes every entry whole."""
    store = InJournal(tmp_path)
    study = store.create()
    finish(study, proposer(study, tiny), 3)
    journal = tmp_path / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-5])
    again = store.open()
    asking = proposer(again, tiny)
    assert len(asking.interrupted) == 1
    assert len(counted(again.trials)) == 2
