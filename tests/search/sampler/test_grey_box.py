"""The grey-box sampler in plain Optuna studies."""

import itertools
from typing import Any

import moocore
import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState
from toy_pool import KINDS, POOL, SPACE, error, milliseconds, run, study

from search.sampler import acquisition, surrogate
from search.sampler.encoding import Rows
from search.sampler.grey_box import GreyBoxSampler, Points, PoolExhausted


def of_pool(trial: optuna.Trial) -> dict[str, Any]:
    """The point that a trial is given, as an objective asks for it."""
    return {
        "width": trial.suggest_int("width", 16, 128, step=16),
        "depth": trial.suggest_int("depth", 0, 5),
        "kind": trial.suggest_categorical("kind", KINDS),
    }


def share(of: optuna.Study) -> float:
    """Fraction of the whole pool's hypervolume that a study has found."""
    everything = np.array([[error(p), milliseconds(p)] for p in POOL.to_dict("records")])
    found = np.array([trial.values for trial in of.trials if trial.values])
    reference_point = everything.max(axis=0)
    return float(
        moocore.hypervolume(found, ref=reference_point)
        / moocore.hypervolume(everything, ref=reference_point)
    )


def test_it_closes_most_of_what_random_search_leaves() -> None:
    missing = []
    for seed in range(3):
        searched, drawn = study(seed), study(seed)
        drawn.sampler = optuna.samplers.RandomSampler(seed)
        run(searched, 24)
        run(drawn, 24)
        missing.append((1 - share(searched), 1 - share(drawn)))
    ours, random = np.median(missing, axis=0)
    assert ours < random / 3


def test_nothing_comes_twice_and_then_the_pool_is_exhausted() -> None:
    searched = study(start=len(POOL))
    assert len(set(run(searched, len(POOL)))) == len(POOL)
    with pytest.raises(PoolExhausted, match="144 candidates"):
        searched.ask(SPACE)


def test_workers_are_asked_for_different_candidates() -> None:
    searched = study()
    run(searched, 14)
    waiting = [tuple(searched.ask(SPACE).params.values()) for _ in range(6)]
    assert len(set(waiting)) == 6
    costs = [milliseconds(dict(zip(SPACE, point, strict=True))) for point in waiting]
    assert np.ptp(np.log(costs)) > 0.5


def test_equal_studies_are_searched_equally() -> None:
    assert run(study(seed=3), 16) == run(study(seed=3), 16)


def test_the_start_is_spread_over_cost() -> None:
    asked = [dict(zip(SPACE, point, strict=True)) for point in run(study(), 8)]
    ranks = np.sort(np.searchsorted(np.sort(milliseconds(POOL)), [milliseconds(p) for p in asked]))
    assert np.diff([0, *ranks, len(POOL)]).max() < len(POOL) / 3


def test_what_cannot_win_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = study(seed=1), study(seed=1)
    expected = run(whole, 30)
    monkeypatch.setattr(acquisition, "CHUNK", 20)
    monkeypatch.setattr(acquisition, "MAX_CHUNKS", 99)
    assert run(cut, 30) == expected


def test_what_cannot_win_in_a_small_pool_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []
    posterior = surrogate.Surrogate.posterior

    def recorded(self: surrogate.Surrogate, rows: Rows) -> tuple[Any, Any]:
        computed.append(len(rows))
        return posterior(self, rows)

    monkeypatch.setattr(surrogate.Surrogate, "posterior", recorded)
    monkeypatch.setattr(acquisition, "FEW", len(POOL))
    expected = run(study(seed=1), 60)
    all_rows, computed[:] = sum(computed), []
    monkeypatch.setattr(acquisition, "FEW", 5)
    assert run(study(seed=1), 60) == expected
    assert sum(computed) < all_rows / 2


def test_what_cannot_win_a_single_objective_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    for chunk in (len(POOL), 20):
        monkeypatch.setattr(acquisition, "CHUNK", chunk)
        monkeypatch.setattr(acquisition, "MAX_CHUNKS", 99)
        of = optuna.create_study(sampler=GreyBoxSampler(POOL, {}, SPACE, seed=1))
        of.optimize(lambda trial: error(of_pool(trial)), n_trials=20)
        asked.append([trial.params for trial in of.trials])
    assert asked[0] == asked[1]


def three_objectives(sampler: optuna.samplers.BaseSampler) -> float:
    """Hypervolume of 24 trials; the first objective is maximised, the second learned as well."""
    of = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
    for _ in range(24):
        trial = of.ask(SPACE)
        point = trial.params
        size = point["width"] * (1.0 + point["depth"] ** 2) / 1000
        of.tell(trial, [-error(point), size, float(milliseconds(point))])
    found = np.array([trial.values for trial in of.trials]) * [-1, 1, 1]
    return float(moocore.hypervolume(found, ref=[8.0, 4.0, 16.0]))


def test_objectives_may_be_maximised_and_several_learned() -> None:
    ours, random = (
        np.median([three_objectives(sampler(seed)) for seed in range(3)])
        for sampler in (
            lambda seed: GreyBoxSampler(POOL, {2: milliseconds(POOL)}, SPACE, seed=seed),
            optuna.samplers.RandomSampler,
        )
    )
    assert ours > random


def test_among_equally_dear_candidates_only_quality_counts() -> None:
    sampler = GreyBoxSampler(POOL, {1: np.zeros(len(POOL))}, SPACE, seed=0)
    of = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    for _ in range(24):
        trial = of.ask(SPACE)
        of.tell(trial, [error(trial.params), 0.0])
    least = min(error(point) for point in POOL.to_dict("records"))
    assert min(trial.values[0] for trial in of.trials) == least


def test_a_single_objective_is_learned() -> None:
    least = min(error(point) for point in POOL.to_dict("records"))
    found = []
    for seed in range(3):
        of = optuna.create_study(sampler=GreyBoxSampler(POOL, {}, SPACE, seed=seed))
        asked = []
        for _ in range(24):
            trial = of.ask(SPACE)
            of.tell(trial, error(trial.params))
            asked.append(tuple(trial.params.values()))
        assert len(set(asked)) == 24
        found.append(of.best_value)
    assert np.median(found) == least


def test_where_much_fails_most_is_not_tried() -> None:
    searched, failures = study(seed=1), 0
    for _ in range(30):
        trial = searched.ask(SPACE)
        if milliseconds(trial.params) < 3:
            failures += 1
            searched.tell(trial, state=TrialState.FAIL)
        else:
            searched.tell(trial, [error(trial.params), float(milliseconds(trial.params))])
    cheap = (milliseconds(POOL) < 3).sum()
    assert failures < cheap / 2


def test_threads_are_given_different_candidates() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        point = of_pool(trial)
        return error(point), float(milliseconds(point))

    searched = study()
    searched.optimize(objective, n_trials=24, n_jobs=4)
    assert len({tuple(t.params.values()) for t in searched.trials}) == 24


def test_a_pool_of_many_parameters() -> None:
    rng = np.random.default_rng(0)
    names = [f"p{i}" for i in range(40)]
    pool = pd.DataFrame(rng.integers(0, 4, size=(500, 40)), columns=names)
    space = {name: CategoricalDistribution(list(range(4))) for name in names}
    sampler = GreyBoxSampler(pool, {1: np.arange(500.0)}, space, seed=0)
    of = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    rows = {tuple(row): i for i, row in enumerate(pool.to_numpy().tolist())}
    asked = []
    for _ in range(14):
        trial = of.ask(space)
        asked.append(rows[tuple(trial.params[name] for name in names)])
        of.tell(trial, [float(sum(trial.params.values())), float(asked[-1])])
    assert len(set(asked)) == 14


def test_failed_trials_are_not_asked_for_again() -> None:
    searched = study()
    run(searched, 13)
    failed = searched.ask(SPACE)
    searched.tell(failed, state=TrialState.FAIL)
    assert tuple(failed.params.values()) not in run(searched, 10)


def test_a_killed_process_leaves_a_study_that_another_continues() -> None:
    searched = study(seed=1)
    before = run(searched, 14)
    before.append(tuple(searched.ask(SPACE).params.values()))
    searched.sampler = GreyBoxSampler(POOL, {1: milliseconds(POOL)}, SPACE, seed=2)
    assert len({*before, *run(searched, 10)}) == 25
    drawn = study(seed=1)
    drawn.sampler = optuna.samplers.RandomSampler(1)
    run(drawn, 25)
    assert share(searched) > share(drawn)


def test_trials_outside_the_pool_are_left_out() -> None:
    inside = POOL[POOL["width"] > 16]
    searched = optuna.create_study(
        directions=["minimize", "minimize"],
        sampler=GreyBoxSampler(inside, {1: milliseconds(inside)}, SPACE, seed=0),
    )
    for point in POOL[POOL["width"] == 16].to_dict("records"):
        searched.enqueue_trial(point)
    asked = run(searched, 18 + 16)
    assert {point[0] for point in asked[:18]} == {16}
    assert 16 not in {point[0] for point in asked[18:]}


def test_what_waits_is_taken() -> None:
    sampler = GreyBoxSampler(POOL.head(2), {1: np.array([1.0, 2.0])}, SPACE, seed=0)
    of = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    of.enqueue_trial(POOL.iloc[0].to_dict())
    asking = optuna.trial.create_trial(values=[0.0, 0.0])
    assert sampler.sample_relative(of, asking, SPACE) == POOL.iloc[1].to_dict()
    with pytest.raises(PoolExhausted, match="2 candidates"):
        sampler.sample_relative(of, asking, SPACE)


@pytest.mark.parametrize("known", [True, False])
def test_a_pool_of_one_row(known: bool) -> None:
    costs = {1: np.array([1.0])} if known else {}
    sampler = GreyBoxSampler(POOL.head(1), costs, SPACE, seed=0)
    of = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    assert of.ask(SPACE).params == POOL.iloc[0].to_dict()
    with pytest.raises(PoolExhausted, match="1 candidate"):
        of.ask(SPACE)


def test_a_pool_of_one_column() -> None:
    pool = pd.DataFrame({"width": np.arange(200)})
    space = {"width": IntDistribution(0, 199)}
    sampler = GreyBoxSampler(pool, {1: np.arange(200.0)}, space, seed=0)
    of = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    for _ in range(30):
        trial = of.ask(space)
        width = trial.params["width"]
        of.tell(trial, [float((width - 60) ** 2), float(width)])
    assert min(trial.values[0] for trial in of.trials) <= 1


def test_a_single_objective() -> None:
    of = optuna.create_study(sampler=GreyBoxSampler(POOL, {}, SPACE, seed=0))
    for _ in range(30):
        trial = of.ask(SPACE)
        of.tell(trial, error(trial.params))
    assert of.best_value == min(error(point) for point in POOL.to_dict("records"))


def test_of_three_objectives_two_may_be_known() -> None:
    def size(point: Any) -> Any:
        return -point["width"] * (1.0 + point["depth"] ** 2) / 1000

    def hypervolume(sampler: optuna.samplers.BaseSampler) -> float:
        of = optuna.create_study(directions=["minimize", "maximize", "minimize"], sampler=sampler)
        for _ in range(20):
            trial = of.ask(SPACE)
            point = trial.params
            of.tell(trial, [error(point), float(size(point)), float(milliseconds(point))])
        found = np.array([trial.values for trial in of.trials]) * [1, -1, 1]
        return float(moocore.hypervolume(found, ref=[8.0, 4.0, 16.0]))

    known = {1: size(POOL), 2: milliseconds(POOL)}
    ours = [hypervolume(GreyBoxSampler(POOL, known, SPACE, seed=seed)) for seed in range(3)]
    random = [hypervolume(optuna.samplers.RandomSampler(seed)) for seed in range(3)]
    assert np.median(ours) > np.median(random)


class Renewing:
    """Pools of a few rows of the whole, and of those that were tried."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.calls: list[tuple[Points, Points]] = []

    def __call__(self, best: Points, tried: Points) -> tuple[pd.DataFrame, dict[int, Any]]:
        self.calls.append((best, tried))
        drawn = POOL.iloc[self.rng.permutation(len(POOL))[:20]]
        pool = pd.concat([drawn, pd.DataFrame(tried)]).drop_duplicates()
        return pool, {1: milliseconds(pool).to_numpy()}


def renewed(seed: int) -> tuple[optuna.Study, Renewing]:
    searched, renew = study(seed), Renewing(seed)
    pool, known = renew([], [POOL.iloc[0].to_dict()])
    searched.sampler = GreyBoxSampler(pool, known, SPACE, seed=seed, renew=renew)
    return searched, renew


def test_a_renewed_pool_forgets_nothing_and_repeats_nothing() -> None:
    searched, renew = renewed(seed=0)
    waiting = searched.ask(SPACE)
    asked = run(searched, 60)
    assert len({*asked, tuple(waiting.params.values())}) == 61
    for best, tried in renew.calls[1:]:
        assert waiting.params in tried
        assert all(point in tried for point in best)
    best, tried = renew.calls[-1]
    values = np.array([[error(point), milliseconds(point)] for point in tried[1:]])
    front = {tuple(value) for value in values[moocore.is_nondominated(values)]}
    assert {(error(point), milliseconds(point)) for point in best} == front


def test_a_renewed_pool_is_better_than_a_few_rows() -> None:
    shares = []
    for seed in range(3):
        searched, renew = renewed(seed)
        run(searched, 30)
        first, known = Renewing(seed)([], [POOL.iloc[0].to_dict()])
        fixed = study(seed)
        fixed.sampler = GreyBoxSampler(first, known, SPACE, seed=seed)
        run(fixed, len(first))
        assert len(renew.calls) > 3
        shares.append((share(searched), share(fixed)))
    renewing, few = np.median(shares, axis=0)
    assert renewing > few


def test_weights_survive_a_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    searched, _ = renewed(seed=0)
    begun: list[Any] = []
    minimize = surrogate.minimize

    def noting(loss: Any, start: Any, **options: Any) -> Any:
        begun.append((start, minimize(loss, start, **options)))
        return begun[-1][1]

    monkeypatch.setattr(surrogate, "minimize", noting)
    run(searched, 40)
    assert len(begun) > 5
    for (_, before), (start, _) in itertools.pairwise(begun):
        assert (start == before.x).all()
