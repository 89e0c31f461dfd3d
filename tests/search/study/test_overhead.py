"""The work of a search per trial does not grow with the trials."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from search.sampler import history
from search.sampler.grey_box import GreyBoxSampler
from search.study.goal import Front
from search.study.journal import Journal
from search.study.objectives import PAIR
from search.study.progress import ProgressDisplay
from search.study.study import NAME, EndedTrials, counted, open_study

CHOICES = tuple(range(40))
SPACE = {"a": CategoricalDistribution(CHOICES), "b": CategoricalDistribution(CHOICES)}


def ended(number: int, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    """A trial whose cost and BD-rate rise together, so that fronts are short."""
    a, b = divmod(number, len(CHOICES))
    cost = 20.0 + a
    return create_trial(
        state=state,
        values=[a + b / 10, cost] if state == TrialState.COMPLETE else None,
        params={"a": a, "b": b},
        distributions={n: CategoricalDistribution(c.choices) for n, c in SPACE.items()},
        user_attrs={
            "id": str(number),
            "architecture": "{}",
            "costs": {"decode_ms": cost},
            "bd_rates": {},
            "seconds": {"train": 1.0, "score": 2.0},
        },
    )


class Record:
    """As much of a run's record as the display uses."""

    band = None
    metric = "psnr"
    goal = Front({"bd_rate_percent": None, "decode_ms": (20.0, 60.0)})


def test_the_display_compares_new_trials_with_the_best_alone() -> None:
    study = optuna.create_study(directions=["minimize"] * 2)
    study.set_metric_names(list(PAIR))
    sizes: list[int] = []
    best = Front.best

    def recorded(goal: Front, done: pd.DataFrame) -> pd.DataFrame:
        sizes.append(len(done))
        return best(goal, done)

    numbers = np.random.default_rng(0).permutation(len(CHOICES) ** 2)[:100]
    with patch.object(Front, "best", recorded):
        display = ProgressDisplay(study, Record(), 100, Console(quiet=True))  # type: ignore[arg-type]
        for number in numbers.tolist():
            study.add_trial(ended(number))
            display.update(1, 0)
    assert display.done == 100
    assert max(sizes) < 10
    everything = pd.DataFrame([t.values for t in study.trials], columns=list(PAIR))
    assert display._standing == Record.goal.standing(everything)
    assert display._left(1) == "about 0 min left"


def test_every_trial_that_counts_is_found_once_whatever_the_order_of_their_ends() -> None:
    study = optuna.create_study(directions=["minimize"] * 2)
    trials, rng = EndedTrials(study), np.random.default_rng(0)
    found: list[int] = []
    asked: list[optuna.Trial] = []
    for _ in range(100):
        asked += [study.ask(SPACE) for _ in range(rng.integers(3))]
        for _ in range(rng.integers(3)):
            if asked:
                trial = asked.pop(int(rng.integers(len(asked))))
                if rng.random() < 0.2:
                    trial.set_user_attr("error", "it failed")
                refused = rng.random() < 0.4
                study.tell(trial, None if refused else [1.0, 2.0],
                           TrialState.FAIL if refused else None)  # fmt: skip
        found += [trial.number for trial in trials.new()]
    assert len(set(found)) == len(found) > 25
    assert sorted(found) == [t.number for t in counted(study.trials) if t.state.is_finished()]
    assert trials.new() == []


def test_equal_distributions_are_kept_once(tmp_path: Path) -> None:
    study = open_study(Journal.of(tmp_path))
    study.add_trials([ended(number) for number in range(5)])
    trials = EndedTrials(study).new()
    assert all(trial.distributions == SPACE for trial in trials)
    assert len({id(trial.distributions["a"]) for trial in trials}) == 1


def test_the_journal_keeps_the_place_of_its_last_entry_alone(tmp_path: Path) -> None:
    journal = Journal.of(tmp_path)
    study = open_study(journal)
    for _ in range(10):
        with journal.batch():
            study.tell(study.ask(SPACE), [1.0, 2.0])
    assert len(journal._log_number_offset) == 2
    assert [t.values for t in study.trials] == [[1.0, 2.0]] * 10
    again = optuna.load_study(study_name=NAME, storage=JournalStorage(Journal.of(tmp_path)))
    assert len(again.trials) == 10


def test_the_sampler_reads_a_trial_that_ended_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    point_of = history.point_of

    def recorded(trial: FrozenTrial, suggested: Mapping[int, Any]) -> Mapping[str, Any]:
        read.append(trial.number)
        return point_of(trial, suggested)

    monkeypatch.setattr(history, "point_of", recorded)
    pool = pd.DataFrame([(a, b) for a in CHOICES for b in CHOICES], columns=["a", "b"])
    sampler = GreyBoxSampler(pool, {1: 20.0 + pool["a"]}, SPACE, seed=0, start=1000)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    for _ in range(60):
        trial = study.ask(SPACE)
        study.tell(trial, [1.0, 20.0 + trial.params["a"]])
    assert sorted(read) == [*range(59)]
