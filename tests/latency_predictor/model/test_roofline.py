from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency_predictor.model import artefact
from latency_predictor.model.roofline import CONSTANTS, Cost, Roofline, cost_of
from latency_predictor.ops import Kind, OpTable

LOGS = artefact.load().devices["a15-ane"].mean


def conv(channels: int, side: int, kernel: int = 9, groups: int = 1, stride: int = 1) -> OpTable:
    figures = (channels, channels, kernel, stride, groups, side**2, side**2)
    columns = [np.array([value]) for value in (0, Kind.CONV, 1, *figures)]
    return OpTable(*columns, programs=1)


def test_convolutions_are_told_apart() -> None:
    tables = {
        Cost.POINTWISE: conv(32, 16, kernel=1),
        Cost.CONV3X3: conv(32, 16),
        Cost.CONV: conv(32, 16, stride=2),
        Cost.GROUPED: conv(32, 16, groups=4),
        Cost.DEPTHWISE: conv(32, 16, groups=32),
    }
    for cost, table in tables.items():
        assert cost_of(table)[0] == cost
    moves = replace(conv(32, 16), kind=np.array([Kind.MOVE]))
    assert cost_of(moves)[0] == Cost.TRANSPOSE
    assert cost_of(replace(moves, out_channels=np.array([64])))[0] == Cost.REGROUP


def test_every_kind_has_a_cost_class(random_programs: Callable[..., OpTable]) -> None:
    table = random_programs(500)
    for kind in Kind:
        names = {Cost(cost).name for cost in cost_of(table)[table.kind == kind]}
        if kind not in (Kind.CONV, Kind.MOVE):
            assert names == {kind.name}


@given(
    channels=st.integers(1, 1024),
    side=st.integers(1, 512),
    kernel=st.sampled_from([1, 9, 25, 49]),
    more=st.integers(1, 64),
)
def test_time_grows_with_every_size(channels: int, side: int, kernel: int, more: int) -> None:
    roofline = Roofline.from_logs(LOGS)
    base = roofline.op_ms(conv(channels, side, kernel))[0]
    assert roofline.op_ms(conv(channels + more, side, kernel))[0] > base
    assert roofline.op_ms(conv(channels, side + more, kernel))[0] > base


def test_a_large_convolution_runs_at_a_plausible_fraction_of_the_marketed_rate() -> None:
    """15.8 tera-operations per second are 7.9 GMAC/ms. Winograd saves at most a factor of 2.25."""
    table = conv(256, 128)
    gmac_per_ms = table.macs[0] / 1e9 / Roofline.from_logs(LOGS).op_ms(table)[0]
    assert 1 < gmac_per_ms < 7.9 * 2.25


def test_every_constant_matters(random_programs: Callable[..., OpTable]) -> None:
    table = random_programs(2_000)
    base = Roofline.from_logs(LOGS)
    for place, name in enumerate(CONSTANTS):
        changed = Roofline.from_logs(LOGS + 0.1 * (np.arange(len(LOGS)) == place))
        same = changed.floor_ms == base.floor_ms and np.array_equal(
            changed.op_ms(table), base.op_ms(table)
        )
        assert not same, name


def test_derivatives_are_those_of_small_steps(random_programs: Callable[..., OpTable]) -> None:
    table = random_programs(200)
    gradient, step = Roofline.from_logs(LOGS).op_gradient(table), 1e-5
    for place, name in enumerate(CONSTANTS):
        steps = step * (np.arange(len(LOGS)) == place)
        above, below = (Roofline.from_logs(LOGS + sign * steps).op_ms(table) for sign in (1, -1))
        slope = (above - below) / (2 * step)
        np.testing.assert_allclose(gradient[:, place], slope, rtol=1e-4, atol=1e-9, err_msg=name)


def test_sizes_scale_as_physics_says() -> None:
    logs = np.where(np.array(CONSTANTS) == "dispatch_ms", -25, LOGS)
    roofline = Roofline.from_logs(logs)
    one, four = (roofline.op_ms(conv(128, side))[0] for side in (256, 512))
    assert four / one == pytest.approx(4, rel=0.05)
