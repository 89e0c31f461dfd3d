"""The search loop, with an evaluator that computes its scores."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from search.config.schema import Sampler
from search.evaluation.scores import EvaluationFailed, evaluate_reference
from search.metrics.rate_distortion import Curve, bd_rate_percent
from search.sampler.grey_box import START
from search.study.journal import Journal
from search.study.loop import Search
from search.study.objectives import PAIR
from search.study.records import trials_frame
from search.study.rungs import EXPECTED_PERCENT, RUNG_RATES
from search.study.study import PREDICTED, Proposer, counted, open_study
from search.training.proxy import Score
from space.architecture import Architecture
from space.search_space import SearchSpace

STEPS = 100
ANCHOR = {"bpp": [0.1, 0.2, 0.4, 0.8], "psnr": [30.0, 32.0, 34.0, 36.0]}


def curve(architecture: Architecture, steps: int) -> Curve:
    """The better the wider the decoder, and the longer it was trained."""
    gain = 0.002 * sum(chain.C for chain in architecture.decoder) + steps / 200
    return ANCHOR | {"psnr": [value + gain for value in ANCHOR["psnr"]]}


@dataclass
class Computed:
    """Every score takes a second to train for and two to measure."""

    rungs: tuple[int, ...]
    of: Callable[[Architecture, int], Curve] = curve
    scored: list[tuple[str, int]] = field(default_factory=list)
    dies_after: float = math.inf
    """Number of scores after which the driver dies."""

    def slots(self) -> int:
        return 2

    def submit(self, architecture: Architecture, stage: int = 0) -> tuple[Architecture, int]:
        return architecture, stage

    def resume(self, handle: tuple[Architecture, int]) -> tuple[Architecture, int]:
        return handle[0], handle[1] + 1

    def finished(self, running: Sequence[object]) -> Sequence[object]:
        if len(self.scored) >= self.dies_after:
            raise KeyboardInterrupt
        return running[:1]

    def score(self, handle: tuple[Architecture, int]) -> Score:
        steps = (*self.rungs, STEPS)[handle[1]]
        self.scored.append((handle[0].id, steps))
        return Score(steps, self.of(handle[0], steps), 1.0, 2.0)


def searched(
    folder: Path,
    space: SearchSpace,
    evaluator: Computed,
    budget: int,
    pool: int = 40,
    objectives: Sequence[str] = PAIR,
    sampler: Sampler = Sampler.grey_box,
) -> optuna.Study:
    journal = Journal.of(folder)
    study = open_study(journal, objectives)
    numbers = np.random.default_rng(0).permutation(space.size)[:pool]
    times = {space.architecture(n).id: 20.0 + i for i, n in enumerate(numbers.tolist())}
    known = np.log([times[space.architecture(n).id] for n in numbers.tolist()])

    def price(architecture: Architecture) -> dict[str, float] | None:
        ms = times.get(architecture.id)
        return {"decode_ms": ms} if ms else None

    place = objectives.index("decode_ms")
    proposer = Proposer(study, space, numbers, {place: known}, price, sampler, seed=0)
    ignored = dict.fromkeys(("on_change", "on_score"), lambda *_: None)
    anchor = ANCHOR | {"ms_ssim": ANCHOR["psnr"]}
    loop = Search(
        study, proposer, evaluator, journal, anchor, STEPS, evaluator.rungs, "psnr", **ignored
    )
    loop.run(budget)
    return study


def states(study: optuna.Study) -> set[TrialState]:
    return {trial.state for trial in counted(study.trials)}


@pytest.mark.parametrize("rungs", [(0,), (0, 10), (0, 10, 50)])
def test_every_rung_is_reached_in_order_and_nothing_is_left_running(
    rungs: tuple[int, ...], tiny: SearchSpace, tmp_path: Path
) -> None:
    evaluator = Computed(rungs)
    study = searched(tmp_path, tiny, evaluator, 40)
    ended = counted(study.trials)
    assert len(ended) == len({t.user_attrs["id"] for t in ended}) == 40
    assert not study.get_trials(states=[TrialState.RUNNING, TrialState.WAITING])
    assert states(study) == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in ended:
        steps = [at for id, at in evaluator.scored if id == trial.user_attrs["id"]]
        assert steps == [*rungs, STEPS][: len(steps)]
        assert [*map(int, trial.user_attrs[RUNG_RATES])] == [s for s in steps if s < STEPS]
        assert (steps[-1] == STEPS) == (trial.state == TrialState.COMPLETE)
        assert (EXPECTED_PERCENT in trial.user_attrs) == (trial.state == TrialState.PRUNED)
        assert trial.user_attrs["seconds"] == {"train": len(steps), "score": 2 * len(steps)}


def test_a_pool_that_ends_before_the_budget_leaves_nobody_waiting(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    study = searched(tmp_path, tiny, Computed((0,)), 500, pool=13)
    assert len(counted(study.trials)) == 13
    assert not study.get_trials(states=[TrialState.RUNNING])


@pytest.mark.parametrize("rungs", [(), (0,), (0, 10)])
@pytest.mark.parametrize("sampler", [s for s in Sampler if s is not Sampler.gp])
def test_killed_drivers_lose_nothing(
    sampler: Sampler, rungs: tuple[int, ...], tiny: SearchSpace, tmp_path: Path
) -> None:
    scored: list[tuple[str, int]] = []
    deaths = 0
    for dies_after in (5, 0, 1, 7, 13, math.inf):
        evaluator = Computed(rungs, dies_after=dies_after)
        try:
            study = searched(tmp_path, tiny, evaluator, 30, sampler=sampler)
        except KeyboardInterrupt:
            deaths += 1
        scored += evaluator.scored
    assert deaths == 5
    assert len(scored) == len(set(scored))
    ended = counted(study.trials)
    assert len(ended) == len({t.user_attrs["id"] for t in ended}) == 30
    assert {id for id, _ in scored} == {t.user_attrs["id"] for t in ended}
    assert not study.get_trials(states=[TrialState.RUNNING])
    for trial in ended:
        steps = [at for id, at in scored if id == trial.user_attrs["id"]]
        assert steps == [*rungs, STEPS][: len(steps)]
        assert (steps[-1] == STEPS) == (trial.state == TrialState.COMPLETE)
        assert trial.user_attrs["seconds"] == {"train": len(steps), "score": 2 * len(steps)}


def test_a_rung_without_a_rate_is_passed_all_the_same(tiny: SearchSpace, tmp_path: Path) -> None:
    """The first rung cannot compare; the second is not measured twice."""

    def late(architecture: Architecture, steps: int) -> Curve:
        return curve(architecture, steps) if steps else {**ANCHOR, "psnr": [3.0, 4.0, 5.0, 6.0]}

    first, second = (Computed((0, 10), late, dies_after=n) for n in (4, math.inf))
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, tiny, first, 12)
    assert {steps for _, steps in first.scored} == {0, 10}
    searched(tmp_path, tiny, second, 12)
    assert not set(first.scored) & set(second.scored)


def test_more_than_the_budget_is_taken_up(tiny: SearchSpace, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, tiny, Computed((0,), dies_after=9), 30)
    study = searched(tmp_path, tiny, Computed((0,)), 3)
    assert len(counted(study.trials)) > 3
    assert not study.get_trials(states=[TrialState.RUNNING])


def test_the_time_between_two_drivers_is_no_running_time(tiny: SearchSpace, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, tiny, Computed((0,), dies_after=9), 30)
    restarted = pd.Timestamp.now()
    study = searched(tmp_path, tiny, Computed((0,)), 30)
    trials = trials_frame(study, "psnr")
    assert (trials["started"] <= trials["finished"]).all()
    again = trials[trials["finished"] > restarted]
    assert (again["started"] > restarted).all()
    assert again["number"].min() < 9


def test_what_no_rung_can_compare_is_trained_to_the_end(tiny: SearchSpace, tmp_path: Path) -> None:
    def late(architecture: Architecture, steps: int) -> Curve:
        """Far from the reference until the end."""
        return curve(architecture, steps) if steps else {**ANCHOR, "psnr": [3.0, 4.0, 5.0, 6.0]}

    study = searched(tmp_path, tiny, Computed((0,), late), 12)
    assert states(study) == {TrialState.COMPLETE}


def test_what_fails_after_a_rung_costs_one_trial(tiny: SearchSpace, tmp_path: Path) -> None:
    def fails(architecture: Architecture, steps: int) -> Curve:
        if steps == STEPS and architecture.decoder[0].C == 96:
            raise EvaluationFailed("the loss is nan at step 3")
        return curve(architecture, steps)

    study = searched(tmp_path, tiny, Computed((0,), fails), 40)
    assert len(counted(study.trials)) == 40
    failed = [t for t in counted(study.trials) if t.state == TrialState.FAIL]
    assert failed
    assert {t.user_attrs["error"] for t in failed} == {"the loss is nan at step 3"}


def test_the_reference_is_trained_to_the_end(tiny: SearchSpace) -> None:
    score = evaluate_reference(Computed((0, 10)), tiny.reference, STEPS, "psnr")
    assert (score.steps, score.train_s, score.score_s) == (STEPS, 3.0, 6.0)
    assert score.curve == curve(tiny.reference, STEPS)


BOTH = ("decode_ms", "bd_rate_ms_ssim_percent", "bd_rate_percent")


def by_two_metrics(architecture: Architecture, steps: int) -> Curve:
    """By MS-SSIM, the wider the latent the better."""
    gain = 0.004 * architecture.latent_channels
    return {**curve(architecture, steps), "ms_ssim": [value + gain for value in ANCHOR["psnr"]]}


def test_bd_rates_by_two_metrics_are_told_in_the_order_of_the_objectives(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    study = searched(tmp_path, tiny, Computed((), by_two_metrics), 16, objectives=BOTH)
    assert states(study) == {TrialState.COMPLETE}
    for trial in counted(study.trials):
        found = trial.user_attrs["curve"]
        expected = [
            trial.user_attrs["costs"]["decode_ms"],
            bd_rate_percent(ANCHOR | {"ms_ssim": ANCHOR["psnr"]}, found, "ms_ssim"),
            bd_rate_percent(ANCHOR, found, "psnr"),
        ]
        assert trial.values == pytest.approx(expected)


def test_what_a_second_metric_cannot_compare_fails_and_says_by_which(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    narrow = min(tiny.parameters["latent_channels"])

    def falling(architecture: Architecture, steps: int) -> Curve:
        found = by_two_metrics(architecture, steps)
        return {**found, "ms_ssim": found["ms_ssim"][::-1]} if wrong(architecture) else found

    def wrong(architecture: Architecture) -> bool:
        return architecture.latent_channels == narrow

    study = searched(tmp_path, tiny, Computed((), falling), 40, objectives=BOTH)
    ended = counted(study.trials)
    assert len(ended) == 40
    failed = [t for t in ended if t.state == TrialState.FAIL]
    wrongs = [t for t in ended if wrong(Architecture.from_json(t.user_attrs["architecture"]))]
    assert failed == wrongs
    assert failed
    for trial in failed:
        assert trial.user_attrs["error"].startswith("the candidate's ms_ssim does not rise")


def test_rungs_take_the_objectives_in_any_order(tiny: SearchSpace, tmp_path: Path) -> None:
    study = searched(tmp_path, tiny, Computed((0,)), 40, objectives=PAIR[::-1])
    assert states(study) == {TrialState.COMPLETE, TrialState.PRUNED}
    (tmp_path / "pair").mkdir()
    plain = searched(tmp_path / "pair", tiny, Computed((0,)), 40)
    assert {t.user_attrs["id"]: t.state for t in counted(study.trials)} == {
        t.user_attrs["id"]: t.state for t in counted(plain.trials)
    }


def test_the_models_forecast_is_recorded_with_the_trial(tiny: SearchSpace, tmp_path: Path) -> None:
    study = searched(tmp_path, tiny, Computed((), by_two_metrics), 20, objectives=BOTH)
    table = trials_frame(study, "psnr").set_index("number")
    names = ["predicted_bd_rate_ms_ssim", "predicted_bd_rate"]
    known = [PREDICTED in trial.user_attrs for trial in counted(study.trials)]
    assert known == sorted(known)
    assert not known[START - 1]
    assert known[-1]
    for trial in counted(study.trials):
        found = trial.user_attrs.get(PREDICTED)
        shown = [
            (table[f"{name}_percent"][trial.number], table[f"{name}_std_percent"][trial.number])
            for name in names
        ]
        if found:
            assert [tuple(found[name]) for name in BOTH[1:]] == shown
            assert np.array(shown)[:, 1].min() > 0
        else:
            assert np.isnan(shown).all()
