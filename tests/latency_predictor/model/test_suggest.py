from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from latency_predictor.measure import programs
from latency_predictor.model import artefact
from latency_predictor.model.calibration import adapt
from latency_predictor.model.suggest import TooFewArchitectures, at_random, choose, most_informative
from latency_predictor.model.times import RooflineTimes
from latency_predictor.ops import Kind, OpTable
from latency_predictor.profiles.measurements import Measurements

Programs = Callable[..., OpTable]


def epistemic_std_after(times: RooflineTimes, table: OpTable, numbers: np.ndarray) -> float:
    """Mean `epistemic_std` of all programs after the programs `numbers` are measured."""
    ms = times.estimate(table).ms
    rows = Measurements(
        table, numbers, np.full(len(numbers), "a16-ane"), np.full(len(numbers), "own"),
        np.full(len(numbers), "none"), ms[numbers], np.full(len(numbers), 0.05),
    )  # fmt: skip
    return float(RooflineTimes(adapt(times.logs, rows)).estimate(table).epistemic_std.mean())


def test_suggested_programs_teach_more_than_random_ones(random_programs: Programs) -> None:
    table, times = random_programs(120), artefact.load().times("iphone15")
    suggested = epistemic_std_after(times, table, most_informative(times, [table], 8))
    random = [
        epistemic_std_after(times, table, np.random.default_rng(seed).permutation(120)[:8])
        for seed in range(8)
    ]
    assert suggested < min(random)


def test_an_op_that_nobody_measured_is_suggested_early(random_programs: Programs) -> None:
    """A quarter of the programs have it, and at least two of the first three suggestions."""
    table, times = random_programs(40), artefact.load().times("iphone13")
    odd = (table.program % 4 == 0) & (table.out_px == table.in_px)
    kinds = np.where(odd, Kind.TRANSPOSED_CONV, Kind.CONV)
    mixed = replace(table, kind=kinds, groups=np.ones_like(kinds), count=np.ones_like(kinds))
    assert (most_informative(times, [mixed], 3) % 4 == 0).sum() >= 2


def test_picks_differ_and_are_as_many_as_requested(random_programs: Programs) -> None:
    table, times = random_programs(30), artefact.load().times("iphone13")
    picks = most_informative(times, [table, table], 30)
    assert sorted(picks.tolist()) == list(range(30))


def test_more_than_there_are_is_refused() -> None:
    source = programs.find("pico_tiny")
    rng = np.random.default_rng(0)
    with pytest.raises(TooFewArchitectures, match=f"{source.size + 1} .* at most {source.size} "):
        choose(source, artefact.load().times("iphone13"), source.size + 1, rng)


def test_random_picks_differ() -> None:
    picks = at_random(programs.find("pico_large"), 50, np.random.default_rng(0))
    assert len(set(picks.tolist())) == 50
