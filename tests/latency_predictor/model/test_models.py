"""The contract of latency models, checked on each of them."""

from dataclasses import replace

import numpy as np
import pytest

from latency_predictor import Kind, LatencyModel, OpTable, UnknownDevice, load_default
from latency_predictor.interface import CalibratedModel, feature_sums
from latency_predictor.model.baselines import fit_macs_only, fit_ridge
from latency_predictor.model.crossval import Fit
from latency_predictor.model.interval import Interval
from latency_predictor.model.recalibrate import calibration_rows, fit_rooflines
from latency_predictor.ops import COLUMNS
from latency_predictor.profiles import lowered
from latency_predictor.profiles.measurements import join_op_lists


def select(table: OpTable, programs: list[int]) -> OpTable:
    """A table with some programs of another table, renumbered."""
    parts = []
    for number, program in enumerate(programs):
        rows = np.flatnonzero(table.program == program)
        columns = {name: getattr(table, name)[rows] for name in COLUMNS}
        parts.append(columns | {"program": np.full(len(rows), number)})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    return OpTable(**joined, programs=len(programs))


def fitted(fit: Fit, name: str) -> LatencyModel:
    rows, _ = calibration_rows(None)
    rows = rows[rows["calibration"].isin(["a14-ane", "a15-ane"])]
    tables, _ = lowered.lower_all(rows["network"], lowered.load())
    times = fit(join_op_lists(rows, tables)).times
    intervals = dict.fromkeys(times, Interval(noise=0.1, overhead=0.2, quantile=2, checked=0.1))
    return CalibratedModel(name, times, intervals, ratio_quantile=2.0)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["shipped", "roofline", "ridge", "macs_only"])
def model(request: pytest.FixtureRequest) -> LatencyModel:
    fits = {"roofline": fit_rooflines, "ridge": fit_ridge, "macs_only": fit_macs_only}
    if request.param == "shipped":
        return load_default()
    return fitted(fits[request.param], request.param)


def test_predictions_are_positive_and_inside_their_interval(
    model: LatencyModel, table: OpTable
) -> None:
    for device in model.devices:
        prediction = model.predict(table, device)
        assert prediction.ms.shape == (table.programs,)
        assert np.isfinite(prediction.high_ms).all()
        assert (prediction.low_ms > 0).all()
        assert (prediction.low_ms <= prediction.ms).all()
        assert (prediction.ms <= prediction.high_ms).all()


def test_more_of_the_same_ops_is_never_faster(model: LatencyModel, table: OpTable) -> None:
    times = [model.predict(replace(table, count=table.count * n), "iphone13").ms for n in (1, 2, 5)]
    assert (np.diff(times, axis=0) >= 0).all()


@pytest.mark.parametrize("column", ["in_channels", "out_channels", "in_px", "out_px"])
def test_larger_is_never_faster(model: LatencyModel, table: OpTable, column: str) -> None:
    # Moves with and without a change in the number of channels are different ops.
    convs = np.where(table.kind == Kind.MOVE, Kind.CONV, table.kind)
    table = replace(table, groups=np.ones_like(table.groups), kind=convs)
    larger = replace(table, **{column: getattr(table, column) * 2})
    before, after = (model.predict(t, "iphone12").ms for t in (table, larger))
    assert (after >= before * (1 - 1e-12)).all()


def test_a_program_does_not_depend_on_its_neighbours(model: LatencyModel, table: OpTable) -> None:
    together = model.predict(table, "iphone13").ms
    alone = [model.predict(select(table, [i]), "iphone13").ms[0] for i in range(table.programs)]
    np.testing.assert_allclose(alone, together, rtol=1e-12)


def test_a_program_may_be_priced_by_its_parts(model: LatencyModel, table: OpTable) -> None:
    even = np.arange(len(table)) % 2 == 0
    parts = [replace(table, count=np.where(kept, table.count, 0)) for kept in (even, ~even)]
    sums = sum(feature_sums(model, part, "iphone13") for part in parts)
    priced, whole = model.from_sums(sums, "iphone13"), model.predict(table, "iphone13")
    for bound in ("ms", "low_ms", "high_ms"):
        np.testing.assert_allclose(getattr(priced, bound), getattr(whole, bound), rtol=1e-12)


def test_ratios_are_those_of_the_predictions(model: LatencyModel, table: OpTable) -> None:
    sums = feature_sums(model, table, "iphone13")
    others = sums[::-1]
    ms, ratios = model.from_sums(sums, "iphone13").ms, model.compare(sums, others, "iphone13")
    np.testing.assert_allclose(ratios.ratio, ms / ms[::-1], rtol=1e-12)
    assert (ratios.low <= ratios.ratio).all()
    assert (ratios.ratio <= ratios.high).all()
    swapped = model.compare(others, sums, "iphone13")
    np.testing.assert_allclose(swapped.low, 1 / ratios.high, rtol=1e-9)


def test_a_ratio_is_known_better_than_its_times(model: LatencyModel, table: OpTable) -> None:
    """The less two programs differ, the narrower is the interval of their ratio."""
    sums = feature_sums(model, table, "iphone13")
    times = model.from_sums(sums, "iphone13")
    ratios = model.compare(sums, sums * 1.01, "iphone13")
    assert (ratios.high / ratios.low < times.high_ms / times.low_ms).all()


def test_a_program_without_ops_costs_the_floor(model: LatencyModel, table: OpTable) -> None:
    idle = replace(table, count=np.zeros_like(table.count))
    floor = model.predict(idle, "iphone13").ms
    assert (floor == floor[0]).all()
    assert floor[0] > 0


def test_unknown_device_names_the_calibrated_ones(model: LatencyModel, table: OpTable) -> None:
    with pytest.raises(UnknownDevice, match=r"device 'iphone99' has no calibration") as caught:
        model.predict(table, "iphone99")
    assert "iphone13" in str(caught.value)
    assert "did you mean" in str(caught.value)


def test_every_listed_device_is_accepted(model: LatencyModel, table: OpTable) -> None:
    assert {"iphone12", "iphone13"} <= set(model.devices)
    assert (model.predict(table, "iPhone 13").ms == model.predict(table, "iphone13").ms).all()
