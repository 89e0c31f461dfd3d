from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from numpy.typing import NDArray
from optuna.trial import TrialState

from search.config.schema import CONFIGS, Sampler
from search.costs.screening import drawn_numbers
from search.study.goal import Band
from search.study.journal import Journal, drop_torn_line
from search.study.objectives import PAIR
from search.study.rungs import EXPECTED_PERCENT
from search.study.study import (
    Costs,
    Exhausted,
    Known,
    Numbers,
    Proposer,
    counted,
    objective_values,
    open_study,
)
from space.architecture import Architecture
from space.search_space import SearchSpace


def price(architecture: Architecture) -> Costs:
    """A stand-in for latency: the decoder's widths."""
    return {"decode_ms": float(sum(chain.C for chain in architecture.decoder))}


def proposer(
    study: optuna.Study, space: SearchSpace, sampler: Sampler = Sampler.random
) -> Proposer:
    return asker_of(study, space, np.arange(space.size), price, sampler)


def asker_of(
    study: optuna.Study,
    space: SearchSpace,
    numbers: NDArray[np.int64],
    priced: Callable[[Architecture], Costs | None],
    sampler: Sampler,
) -> Proposer:
    ms = np.array([price(space.architecture(number))["decode_ms"] for number in numbers])
    known = {number: np.log(ms) for number in range(1, len(study.directions))}
    return Proposer(study, space, numbers, known, priced, sampler, seed=0)


def finish(study: optuna.Study, proposer: Proposer, trials: int) -> list[str]:
    ids = []
    for _ in range(trials):
        candidate = proposer.ask()
        rate = -float(candidate.architecture.latent_channels)
        study.tell(candidate.trial, objective_values(study, rate, candidate.costs))
        ids.append(candidate.architecture.id)
    return ids


def test_reading_a_study_writes_nothing(tiny: SearchSpace, tmp_path: Path) -> None:
    study = open_study(Journal.of(tmp_path))
    finish(study, proposer(study, tiny), 2)
    before = (tmp_path / "study.journal").read_bytes()
    again = open_study(Journal.of(tmp_path))
    assert again.trials == study.trials
    assert again.metric_names == list(PAIR)
    assert (tmp_path / "study.journal").read_bytes() == before


@pytest.mark.parametrize("objectives", [PAIR, Band.objectives], ids=len)
@pytest.mark.parametrize("sampler", Sampler)
class TestSamplers:
    """The conformance suite of samplers, for every goal of a run."""

    def test_no_architecture_comes_twice(
        self, sampler: Sampler, objectives: tuple[str, ...], tiny: SearchSpace, tmp_path: Path
    ) -> None:
        study = open_study(Journal.of(tmp_path), objectives)
        trials = 15 if sampler is Sampler.gp else 60
        ids = finish(study, proposer(study, tiny, sampler), trials)
        assert len(set(ids)) == len(ids)
        assert len(counted(study.trials)) == trials

    def test_constraints_are_met(
        self, sampler: Sampler, objectives: tuple[str, ...], tiny: SearchSpace, tmp_path: Path
    ) -> None:
        def narrow(architecture: Architecture) -> Costs | None:
            return price(architecture) if architecture.decoder[0].C == 96 else None

        study = open_study(Journal.of(tmp_path), objectives)
        feasible = [n for n in range(tiny.size) if narrow(tiny.architecture(n))]
        asking = asker_of(study, tiny, np.array(feasible), narrow, sampler)
        for _ in range(8):
            assert asking.ask().architecture.decoder[0].C == 96

    def test_runs_repeat(
        self, sampler: Sampler, objectives: tuple[str, ...], tiny: SearchSpace, tmp_path: Path
    ) -> None:
        runs = []
        for name in "ab":
            (tmp_path / name).mkdir()
            study = open_study(Journal.of(tmp_path / name), objectives)
            runs.append(finish(study, proposer(study, tiny, sampler), 14))
        assert runs[0] == runs[1]


def test_a_space_is_exhausted_once_all_of_it_was_asked_for(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    journal = Journal.of(tmp_path)
    asking = proposer(open_study(journal), tiny)
    with journal.batch():
        ids = {asking.ask().architecture.id for _ in range(tiny.size)}
        assert len(ids) == tiny.size
        with pytest.raises(Exhausted):
            asking.ask()


def test_enqueued_architectures_come_first(tiny: SearchSpace, tmp_path: Path) -> None:
    study = open_study(Journal.of(tmp_path))
    asking = proposer(study, tiny)
    wanted = [tiny.reference, tiny.architecture(0), tiny.architecture(tiny.size - 1)]
    asking.enqueue(wanted)
    assert [asking.ask().architecture for _ in wanted] == wanted


@pytest.mark.parametrize("sampler", Sampler)
def test_what_a_dead_driver_left_running_is_taken_up_as_the_same_trial(
    sampler: Sampler, tiny: SearchSpace, tmp_path: Path
) -> None:
    study = open_study(Journal.of(tmp_path))
    first = proposer(study, tiny, sampler)
    finish(study, first, 3)
    cut_off = [first.ask() for _ in range(2)]

    again = open_study(Journal.of(tmp_path))
    second = proposer(again, tiny, sampler)
    known = [(c.trial.number, c.architecture, c.costs) for c in cut_off]
    assert [(c.trial.number, c.architecture, c.costs) for c in second.interrupted] == known
    for candidate in second.interrupted:
        again.tell(candidate.trial, objective_values(again, 1.0, candidate.costs))
    finish(again, second, 3)
    ended = counted(again.trials)
    assert len(ended) == len({t.user_attrs["id"] for t in ended}) == 8
    third = proposer(open_study(Journal.of(tmp_path)), tiny, sampler)
    assert third.interrupted == []


def test_what_was_interrupted_before_its_architecture_was_recorded_is_asked_for_again(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    study = open_study(Journal.of(tmp_path))
    first = proposer(study, tiny)
    first.enqueue([tiny.architecture(5), tiny.architecture(9)])
    study.ask()
    study.ask().set_user_attr("id", tiny.architecture(9).id)

    again = open_study(Journal.of(tmp_path))
    second = proposer(again, tiny)
    assert second.interrupted == []
    assert [t.state for t in again.trials[:2]] == [TrialState.FAIL] * 2
    assert [second.ask().architecture for _ in range(2)] == [
        tiny.architecture(5), tiny.architecture(9)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [("error", "the loss is nan", TrialState.FAIL), (EXPECTED_PERCENT, 3.0, TrialState.PRUNED)],
)
def test_an_outcome_that_was_recorded_ends_its_trial(
    name: str, value: object, state: TrialState, tiny: SearchSpace, tmp_path: Path
) -> None:
    study = open_study(Journal.of(tmp_path))
    proposer(study, tiny).ask().trial.set_user_attr(name, value)
    again = open_study(Journal.of(tmp_path))
    assert proposer(again, tiny).interrupted == []
    assert [t.state for t in counted(again.trials)] == [state]


def test_a_study_goes_on_with_the_objectives_that_it_began_with(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    open_study(Journal.of(tmp_path), Band.objectives)
    study = open_study(Journal.of(tmp_path))
    assert objective_values(study, -3.0, {"decode_ms": 20.0}) == [-3.0]
    proposer(study, tiny).add(tiny.reference, 0.0, {"costs": {"decode_ms": 20.0}})
    assert study.best_trial.values == [0.0]


def test_a_continued_study_does_not_repeat_its_first_draws(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    study = open_study(Journal.of(tmp_path))
    finish(study, proposer(study, tiny), 5)
    again = open_study(Journal.of(tmp_path))
    refused = len(again.trials)
    finish(again, proposer(again, tiny), 5)
    assert len(again.trials) - refused < 10


def test_a_failed_architecture_is_not_tried_again(tiny: SearchSpace, tmp_path: Path) -> None:
    study = open_study(Journal.of(tmp_path))
    candidate = proposer(study, tiny).ask()
    candidate.trial.set_user_attr("error", "the loss is nan at step 3")
    study.tell(candidate.trial, state=TrialState.FAIL)
    journal = Journal.of(tmp_path)
    again = proposer(open_study(journal), tiny)
    with journal.batch():
        ids = {again.ask().architecture.id for _ in range(tiny.size - 1)}
    assert candidate.architecture.id not in ids


def test_a_torn_last_line_costs_that_line_alone(tiny: SearchSpace, tmp_path: Path) -> None:
    study = open_study(Journal.of(tmp_path))
    ids = finish(study, proposer(study, tiny), 4)
    journal = tmp_path / "study.journal"
    journal.write_bytes(journal.read_bytes()[:-7])
    drop_torn_line(tmp_path)
    again = open_study(Journal.of(tmp_path))
    finish(again, proposer(again, tiny), 2)
    kept = [t.user_attrs["id"] for t in counted(open_study(Journal.of(tmp_path)).trials)]
    assert kept[:3] == ids[:3]
    assert len(set(kept)) == len(kept) >= 5


def test_an_architecture_evaluated_elsewhere_is_a_trial(tiny: SearchSpace, tmp_path: Path) -> None:
    journal = Journal.of(tmp_path)
    study = open_study(journal)
    asking = proposer(study, tiny)
    for _ in range(2):
        asking.add(tiny.reference, 0.0, {"costs": {"decode_ms": 20.0}})
    assert [t.user_attrs["id"] for t in counted(study.trials)] == [tiny.reference.id]
    assert study.best_trials[0].values == [0.0, 20.0]
    with journal.batch():
        asked = {asking.ask().architecture.id for _ in range(tiny.size - 1)}
    assert tiny.reference.id not in asked


def test_a_large_space_has_pools_one_after_another_also_when_continued(tmp_path: Path) -> None:
    loaded = yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text())
    large = SearchSpace.from_config(loaded)
    rng = np.random.default_rng(0)
    pools: list[Numbers] = []

    def renew(best: Numbers, tried: Numbers) -> tuple[Numbers, Known]:
        pools.append(drawn_numbers(large, 100, rng, best, tried))
        return pools[-1], known(pools[-1])

    def known(numbers: Numbers) -> Known:
        decode_ms = [price(large.architecture(n))["decode_ms"] for n in numbers.tolist()]
        return {1: np.log(decode_ms)}

    ids = []
    for trials in (14, 8):
        study = open_study(Journal.of(tmp_path))
        first = drawn_numbers(large, 100, rng)
        asking = Proposer(
            study, large, first, known(first), price, Sampler.grey_box, seed=0, renew=renew
        )
        ids += finish(study, asking, trials)
    assert len(set(ids)) == len(ids) == len(counted(study.trials))
    assert len(pools) > 2
    asked = {large.architecture(number).id for number in pools[-1].tolist()}
    assert set(ids[:14]) <= asked
