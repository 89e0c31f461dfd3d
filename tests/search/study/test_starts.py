"""The first trials of a search, against the spaces that they are of."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from latency_predictor import load_default
from search.config.schema import CONFIGS, ConstraintConfig, Limits
from search.costs.costs import costs_of
from search.costs.screening import Pool, Screening, drawn_numbers
from search.study.goal import Band
from search.study.starts import first_trials
from space.search_space import SearchSpace

DEVICE = "iphone13"
LARGE = SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text()))
REFERENCE_MS = costs_of(LARGE.reference, load_default(), DEVICE)["decode_ms"]


def screened(most_ms: float | None = None, band: Band | None = None) -> Pool:
    """Candidates of the large space."""
    limits = ConstraintConfig(max=Limits(decode_ms=most_ms))
    screening = Screening(LARGE, load_default(), DEVICE, limits, band)
    return screening.pool(drawn_numbers(LARGE, 2000, np.random.default_rng(0)))


@pytest.fixture(scope="module")
def pool() -> Pool:
    return screened()


def first(pool: Pool, count: int, seed: int = 0) -> list[int]:
    return first_trials(LARGE, pool, REFERENCE_MS, count, np.random.default_rng(seed))


def changed(number: int) -> list[int]:
    """Axes in which an architecture differs from the reference."""
    both = np.array([number, LARGE.number(LARGE.reference)])
    return [axis for axis, (a, b) in enumerate(LARGE.digits(both)) if a != b]


def milliseconds(pool: Pool, numbers: list[int]) -> np.ndarray:
    rows = [int(np.flatnonzero(pool.numbers == number)[0]) for number in numbers]
    return pool.costs["decode_ms"].to_numpy()[rows]


def test_the_fastest_comes_first_and_the_reference_counts_but_is_left_out(pool: Pool) -> None:
    chosen = first(pool, 12)
    assert len(set(chosen)) == 11
    assert LARGE.number(LARGE.reference) not in chosen
    assert milliseconds(pool, chosen[:1]) == pool.costs["decode_ms"].min()


def test_every_stage_is_changed_before_any_is_changed_again(pool: Pool) -> None:
    varied = sum(len(next(iter(axis.values()))) > 1 for axis in LARGE.axes)
    changes = [changed(number) for number in first(pool, 2 + 2 * varied)[1:]]
    assert all(len(axes) == 1 for axes in changes)
    assert len({axis for (axis,) in changes[:varied]}) == varied
    assert len(set(map(tuple, changes))) == varied


def test_a_stage_spreads_over_decode_time(pool: Pool) -> None:
    """The first changes of a stage are its extremes, and the first stage has the widest ones."""
    chosen = first(pool, 40)[1:]
    of_all = [number for number in pool.numbers.tolist() if len(changed(number)) == 1]
    apart = np.abs(np.log(milliseconds(pool, of_all) / REFERENCE_MS))
    assert chosen[0] == of_all[apart.argmax()]
    (axis,) = changed(chosen[0])
    stage = [number for number in of_all if changed(number) == [axis]]
    times = np.append(milliseconds(pool, stage), REFERENCE_MS)
    taken = milliseconds(pool, [number for number in chosen if changed(number) == [axis]])
    assert np.ptp([*np.log(taken), np.log(REFERENCE_MS)]) == pytest.approx(np.ptp(np.log(times)))


def test_where_the_reference_may_not_be_a_candidate_it_is_none_of_them() -> None:
    within = screened(most_ms=0.8 * REFERENCE_MS)
    chosen = first(within, 12)
    assert len(set(chosen)) == 12
    assert set(chosen) <= set(within.numbers.tolist())
    assert any(len(changed(number)) == 1 for number in chosen)


def test_a_band_with_few_changes_is_filled_up() -> None:
    band = Band(1.5 * REFERENCE_MS, 0.05)
    within = screened(band=band)
    changes = [number for number in within.numbers.tolist() if len(changed(number)) == 1]
    count = len(changes) + 8
    chosen = first(within, count)
    assert len(set(chosen)) == count
    assert set(changes) <= set(chosen) <= set(within.numbers.tolist())


@pytest.mark.parametrize("rows", [1, 3, 30])
def test_of_a_table_only_its_rows_are_chosen(rows: int, pool: Pool) -> None:
    few = replace(pool, numbers=pool.numbers[:rows], costs=pool.costs[:rows])
    chosen = first(few, 12)
    assert len(set(chosen)) == min(rows, 12 - (LARGE.number(LARGE.reference) in few.numbers))
    assert set(chosen) <= set(few.numbers.tolist())


@pytest.mark.parametrize("count", [0, 1])
def test_none_may_be_asked_for(count: int, pool: Pool) -> None:
    assert first(pool, count) == []


def test_equal_seeds_give_equal_trials(pool: Pool) -> None:
    assert first(pool, 30, seed=3) == first(pool, 30, seed=3)
