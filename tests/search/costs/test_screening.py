import numpy as np
import pytest
import yaml

from latency_predictor import load_default
from search.config.schema import CONFIGS, ConstraintConfig, Limits
from search.costs.costs import costs_of
from search.costs.screening import (
    EmptyPool,
    Pool,
    Screening,
    bounded,
    drawn_numbers,
    one_stage_changes,
)
from search.study.goal import Band
from space.search_space import SearchSpace

DEVICE = "iphone13"


def named(name: str) -> SearchSpace:
    return SearchSpace.from_config(yaml.safe_load((CONFIGS / f"space/{name}.yaml").read_text()))


LARGE = named("pico_large")


@pytest.fixture
def pool(tiny: SearchSpace) -> Pool:
    return Screening(tiny, load_default(), DEVICE, ConstraintConfig()).pool(np.arange(tiny.size))


def test_a_small_space_is_screened_whole(tiny: SearchSpace, pool: Pool) -> None:
    assert pool.screened == len(pool.numbers) == len(pool.costs) == tiny.size


def test_rows_of_the_pool_are_the_costs_of_its_architectures(tiny: SearchSpace, pool: Pool) -> None:
    model = load_default()
    for i in (0, 50, 191):
        alone = costs_of(tiny.architecture(int(pool.numbers[i])), model, DEVICE)
        assert alone == pytest.approx(pool.costs.iloc[i].to_dict())


def test_a_large_space_is_sampled_without_repetition() -> None:
    rng = np.random.default_rng(0)
    sampled = drawn_numbers(LARGE, 100, rng)
    changes = np.concatenate(one_stage_changes(LARGE))
    certain = {LARGE.number(LARGE.reference), *changes.tolist()}
    assert len(set(sampled.tolist())) == len(sampled)
    assert certain < set(sampled.tolist())
    assert 90 < len(sampled) - len(certain) <= 100


def test_changes_of_one_stage_are_all_that_differ_there_alone(tiny: SearchSpace) -> None:
    reference = tiny.columns(np.array([tiny.number(tiny.reference)]))
    everything = tiny.columns(np.arange(tiny.size))
    differ = np.array(
        [
            np.any([everything[name] != reference[name] for name in axis], axis=0)
            for axis in tiny.axes
        ]
    )
    expected = [np.flatnonzero(stage & (differ.sum(axis=0) == 1)) for stage in differ]
    found = one_stage_changes(tiny)
    assert len(found) == len(expected)
    for numbers, others in zip(found, expected, strict=True):
        assert sorted(numbers) == others.tolist()


@pytest.mark.parametrize("name", ["pico_tiny", "pico_decoder"])
def test_spaces_of_a_few_million_are_taken_whole(name: str) -> None:
    space = named(name)
    assert len(drawn_numbers(space, 100, np.random.default_rng(0))) == space.size


def test_a_renewed_pool_has_neighbours_of_the_best_and_what_was_tried() -> None:
    rng = np.random.default_rng(0)
    best, tried = LARGE.sample(3, rng), LARGE.sample(20, rng)
    numbers = drawn_numbers(LARGE, 3000, rng, best, tried)
    assert set(tried) <= set(numbers)
    apart = [
        np.sum(np.stack(LARGE.digits(numbers)) != np.stack(LARGE.digits(best[i : i + 1])), axis=0)
        for i in range(3)
    ]
    near = np.min(apart, axis=0) <= 2
    assert 600 < near.sum() <= 1000
    assert (~near).sum() > 1900


def test_constraints_cut_on_both_sides(tiny: SearchSpace, pool: Pool) -> None:
    low, high = pool.costs["decode_ms"].quantile([0.25, 0.75])
    limits = ConstraintConfig(min=Limits(decode_ms=low), max=Limits(decode_ms=high))
    cut = Screening(tiny, load_default(), DEVICE, limits).pool(np.arange(tiny.size))
    inside = pool.costs["decode_ms"].between(low, high)
    assert set(cut.numbers) == set(pool.numbers[inside])


def test_a_limit_of_the_upper_end_is_for_phones_that_must_not_be_slower(
    tiny: SearchSpace, pool: Pool
) -> None:
    high = pool.costs["decode_high_ms"].median()
    limits = ConstraintConfig(max=Limits(decode_high_ms=high))
    cut = Screening(tiny, load_default(), DEVICE, limits).pool(np.arange(tiny.size))
    assert 0 < len(cut.numbers) < tiny.size
    assert cut.costs["decode_high_ms"].max() <= high
    expected = ConstraintConfig(max=Limits(decode_ms=high))
    assert set(cut.numbers) < set(
        Screening(tiny, load_default(), DEVICE, expected).pool(np.arange(tiny.size)).numbers
    )


def test_impossible_constraints_state_the_range(tiny: SearchSpace) -> None:
    limits = ConstraintConfig(max=Limits(decode_ms=0.01))
    with pytest.raises(EmptyPool, match=r"constraints.max.decode_ms=0.01 \(the space spans"):
        Screening(tiny, load_default(), DEVICE, limits).pool(np.arange(tiny.size))


def test_a_band_cuts_beside_the_constraints(tiny: SearchSpace, pool: Pool) -> None:
    limits = ConstraintConfig(max=Limits(kmac_per_px=pool.costs["kmac_per_px"].median()))
    numbers, band = np.arange(tiny.size), Band(25.0, 0.04)
    cut = Screening(tiny, load_default(), DEVICE, limits, band).pool(numbers)
    near = (pool.costs["decode_ms"] - 25).abs() <= 1
    small = pool.costs["kmac_per_px"] <= pool.costs["kmac_per_px"].median()
    assert set(cut.numbers) == set(pool.numbers[near & small])
    assert 0 < len(cut.numbers) < near.sum()
    assert len(set(cut.stratified(12, np.random.default_rng(0)).tolist())) == 12


@pytest.mark.parametrize(
    ("most_ms", "spans"),
    [
        (None, r"the space spans 19.76 to 31.\d\d ms, .* 31.\d\d ms"),
        (25.0, r"meets the constraints spans 19.76 to 2[45].\d+ ms, .* 2[45]\.\d+ ms"),
    ],
)
def test_an_empty_band_is_said_as_it_was_asked_for(
    most_ms: float | None, spans: str, tiny: SearchSpace
) -> None:
    limits = ConstraintConfig(max=Limits(decode_ms=most_ms))
    with pytest.raises(EmptyPool, match=spans) as error:
        Screening(tiny, load_default(), DEVICE, limits, Band(100.0, 0.05)).pool(
            np.arange(tiny.size)
        )
    assert "search.target_ms=100 search.tolerance=0.05, which is 95 to 105 ms" in str(error.value)


def test_constraints_that_nothing_meets_are_said_whatever_the_band(tiny: SearchSpace) -> None:
    limits = ConstraintConfig(max=Limits(decode_ms=0.01))
    with pytest.raises(EmptyPool, match=r"no architecture meets constraints.max.decode_ms=0.01"):
        Screening(tiny, load_default(), DEVICE, limits, Band(25.0, 0.05)).pool(np.arange(tiny.size))


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


def test_a_search_without_a_bound_on_encoding_gets_picos() -> None:
    assert bounded(ConstraintConfig(), 80.0).max.encode_total_ms == 230
    # A device on which the reference itself takes longer.
    assert bounded(ConstraintConfig(), 900.0).max.encode_total_ms == 900
    for name in ("encode_ms", "encode_high_ms", "encode_total_ms"):
        asked = ConstraintConfig(max=Limits(**{name: 50.0}))
        assert bounded(asked, 80.0) == asked
