import numpy as np
import pytest

from latency_predictor import load_default
from search.config import ConstraintConfig, Limits
from search.costs import costs_of
from search.screening import EmptyPool, Pool, drawn, screen
from space.search_space import SearchSpace

DEVICE = "iphone13"
WHOLE = 10_000


@pytest.fixture
def pool(tiny: SearchSpace) -> Pool:
    return screen(tiny, load_default(), DEVICE, ConstraintConfig(), np.arange(tiny.size))


def test_a_small_space_is_screened_whole(tiny: SearchSpace, pool: Pool) -> None:
    assert pool.screened == len(pool.numbers) == len(pool.costs) == tiny.size


def test_rows_of_the_pool_are_the_costs_of_its_architectures(tiny: SearchSpace, pool: Pool) -> None:
    model = load_default()
    for i in (0, 50, 191):
        alone = costs_of(tiny.architecture(int(pool.numbers[i])), model, DEVICE)
        assert alone == pytest.approx(pool.costs.iloc[i].to_dict())


def test_a_large_space_is_sampled_without_repetition(tiny: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    sampled = drawn(tiny, 100, rng)
    assert 0 < len(sampled) <= 101
    assert len(set(sampled.tolist())) == len(sampled)
    assert tiny.number(tiny.reference) in sampled
    assert drawn(tiny, WHOLE, rng).tolist() == list(range(tiny.size))


def test_constraints_cut_on_both_sides(tiny: SearchSpace, pool: Pool) -> None:
    low, high = pool.costs["decode_ms"].quantile([0.25, 0.75])
    limits = ConstraintConfig(min=Limits(decode_ms=low), max=Limits(decode_ms=high))
    cut = screen(tiny, load_default(), DEVICE, limits, np.arange(tiny.size))
    inside = pool.costs["decode_ms"].between(low, high)
    assert set(cut.numbers) == set(pool.numbers[inside])


def test_impossible_constraints_state_the_range(tiny: SearchSpace) -> None:
    limits = ConstraintConfig(max=Limits(decode_ms=0.01))
    with pytest.raises(EmptyPool, match=r"constraints.max.decode_ms=0.01 \(the space spans"):
        screen(tiny, load_default(), DEVICE, limits, np.arange(tiny.size))


def test_stratified_starts_are_distinct_and_span_the_latencies(pool: Pool) -> None:
    chosen = pool.stratified(8, np.random.default_rng(0))
    assert len(set(chosen.tolist())) == 8
    rows = np.isin(pool.numbers, chosen)
    span = pool.costs["decode_ms"].max() - pool.costs["decode_ms"].min()
    taken = pool.costs["decode_ms"][rows]
    assert taken.min() == pool.costs["decode_ms"].min()
    assert taken.max() - taken.min() > 0.8 * span


def test_more_starts_than_architectures_are_all_of_them(pool: Pool) -> None:
    chosen = pool.stratified(10_000, np.random.default_rng(0))
    assert sorted(chosen) == sorted(pool.numbers)
