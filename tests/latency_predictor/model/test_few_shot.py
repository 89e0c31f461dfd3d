from collections.abc import Callable

import numpy as np
import pytest

from latency_predictor.model import artefact
from latency_predictor.model.few_shot import TooFewRows, calibrate_device
from latency_predictor.model.times import RooflineTimes
from latency_predictor.ops import OpTable
from latency_predictor.profiles.measurements import Measurements

Programs = Callable[..., OpTable]


def slow_phone(table: OpTable, rows: int, families: int = 1_000) -> Measurements:
    """An iPhone 16, a phone without rows, that takes twice an iPhone 13's time, with 2 % noise."""
    ms = 2 * RooflineTimes(artefact.load().devices["a15-ane"]).estimate(table).ms[:rows]
    rng = np.random.default_rng(0)
    return Measurements(
        table=table,
        program=np.arange(rows),
        calibration=np.full(rows, "a18-ane"),
        source=np.full(rows, "own"),
        family=(np.arange(rows) % families).astype(str),
        ms=ms * np.exp(rng.normal(0, 0.02, rows)),
        sigma=np.full(rows, 0.05),
    )


def test_a_new_phone_is_learned_from_few_rows(random_programs: Programs) -> None:
    table = random_programs(100)
    truth = slow_phone(table, 100).ms
    errors = []
    for rows in (5, 20):
        after, score = calibrate_device(artefact.load(), slow_phone(table, rows), "")
        predicted = after.model().predict(table, "iphone16")
        errors.append(np.median(np.abs(predicted.ms / truth - 1)[rows:]))
        assert score["n"] == rows
        assert np.mean((predicted.low_ms <= truth) & (truth <= predicted.high_ms)) > 0.7
    before = artefact.load().model().predict(table, "iphone16").ms
    assert errors[1] < errors[0] < np.median(np.abs(before / truth - 1))
    assert errors[1] < 0.1


def test_other_devices_are_left_as_they_are(random_programs: Programs) -> None:
    table = random_programs(30)
    before = artefact.load()
    after, _ = calibrate_device(before, slow_phone(table, 10), "")
    for device in before.model().devices:
        if device not in ("iphone16", "iphone16plus", "iphone16e"):
            assert np.array_equal(
                before.model().predict(table, device).high_ms,
                after.model().predict(table, device).high_ms,
            )


def test_calibrating_again_replaces_the_first(random_programs: Programs) -> None:
    table = random_programs(30)
    first, _ = calibrate_device(artefact.load(), slow_phone(table, 8), "one")
    again, _ = calibrate_device(first, slow_phone(table, 20), "two")
    once, _ = calibrate_device(artefact.load(), slow_phone(table, 20), "two")
    np.testing.assert_array_equal(again.devices["a18-ane"].mean, once.devices["a18-ane"].mean)
    hashes = {one.calibration_sha256 for one in (artefact.load(), first, again, once)}
    assert len(hashes) == 4


def test_few_architectures_borrow_the_wider_interval(random_programs: Programs) -> None:
    """Three architectures measured four times each are not twelve."""
    after, _ = calibrate_device(artefact.load(), slow_phone(random_programs(12), 12, 3), "")
    kin = [artefact.load().intervals[key] for key in ("a14-ane", "a15-ane")]
    assert after.intervals["a18-ane"].quantile >= max(one.quantile for one in kin)


def test_rows_of_a_new_laboratory_move_and_narrow_what_others_measured(
    random_programs: Programs,
) -> None:
    """A laboratory that measures everything 15 % slower than the published rows say."""
    table, before = random_programs(60), artefact.load()
    ms = 1.15 * RooflineTimes(before.devices["a15-ane"]).estimate(table).ms
    own = Measurements(
        table=table,
        program=np.arange(5),
        calibration=np.full(5, "a15-ane"),
        source=np.full(5, "own"),
        family=np.arange(5).astype(str),
        ms=ms[:5],
        sigma=np.full(5, 0.05),
    )
    after, _ = calibrate_device(before, own, "")
    shipped, learned = (each.model().predict(table, "iphone13") for each in (before, after))
    assert np.median(np.abs(learned.ms / ms - 1)) < 0.05
    assert np.median(np.abs(shipped.ms / ms - 1)) > 0.1
    widths = [np.median(each.high_ms / each.low_ms) for each in (shipped, learned)]
    assert widths[1] < widths[0]


@pytest.mark.parametrize(("rows", "families"), [(2, 1_000), (6, 1)])
def test_too_little_is_refused(random_programs: Programs, rows: int, families: int) -> None:
    with pytest.raises(TooFewRows, match=f"{rows} usable rows of {min(rows, families)} "):
        calibrate_device(artefact.load(), slow_phone(random_programs(10), rows, families), "")
