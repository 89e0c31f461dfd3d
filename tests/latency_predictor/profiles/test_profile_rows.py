from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latency_predictor.ops import OpTable
from latency_predictor.profiles import profile_file
from latency_predictor.profiles.measurements import join_op_lists
from latency_predictor.profiles.profile_file import (
    Device,
    Host,
    ModelRecord,
    PlannedOp,
    PredictMs,
    ProfileRecord,
    ops_of,
    timed,
)
from latency_predictor.profiles.rows import read_rows, rows_of_device, usable_rows
from latency_predictor.profiles.table import ProfileError


def record(table: OpTable, number: int, ms: float) -> ProfileRecord:
    predict_ms: PredictMs = timed([ms] * 5, warm_up=2, protocol="burst", burst_calls=5)
    model = ModelRecord(
        source="none", number=number, program="decoder", architecture={},
        architecture_id=f"{number:012x}", package_sha256=None, target="iOS17",
        precision="float16", inputs={"x": [1, 3, 8, 8]}, macs=1, ops=ops_of(table),
    )  # fmt: skip
    return ProfileRecord(
        device=Device(name="iPhone 15"), host=Host(runner="burst runner"), model=model,
        compute_unit="ALL", load_ms=None, predict_ms=predict_ms, plan=[], measured_at=None,
        synthetic=False,
    )  # fmt: skip


@pytest.fixture
def records(random_programs: Callable[..., OpTable]) -> list[ProfileRecord]:
    tables = [random_programs(1, seed=seed) for seed in range(6)]
    return [record(table, number, 1.0 + number) for number, table in enumerate(tables)]


def test_a_profile_file_brings_its_op_lists(records: list[ProfileRecord], tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    profile_file.write(records, path)
    rows, tables = rows_of_device(path, "iphone15plus")  # the same chip
    measurements = join_op_lists(rows, tables)
    assert set(rows["calibration"]) == {"a16-ane"}
    np.testing.assert_allclose(measurements.ms, [1, 2, 3, 4, 5, 6])
    for place, one in enumerate(records):
        totals = measurements.table.totals()["macs"][measurements.program[place]]
        assert totals == one.ops.totals()["macs"][0]


def test_synthetic_figures_are_never_used(records: list[ProfileRecord], tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    profile_file.write([replace(records[0], synthetic=True), *records[1:]], path)
    rows, _ = read_rows(path)
    assert rows["why"].iloc[0] == "no device produced it"
    assert len(usable_rows(rows)) == 5


@pytest.mark.parametrize(
    ("device", "why"),
    [
        (Device(name="iPhone 15", low_power=True), "low power mode"),
        (Device(name="iPhone 15", thermal_state="critical"), "thermal state critical"),
    ],
)
def test_a_throttled_phone_teaches_nothing(
    records: list[ProfileRecord], tmp_path: Path, device: Device, why: str
) -> None:
    path = tmp_path / "own.jsonl"
    profile_file.write([replace(records[0], device=device), *records[1:]], path)
    rows, _ = read_rows(path)
    assert (rows["use"].iloc[0], rows["why"].iloc[0]) == ("unfit", why)


def test_what_ran_elsewhere_is_a_fallback(records: list[ProfileRecord], tmp_path: Path) -> None:
    plan = [
        PlannedOp(
            op="conv", output="y", preferred="ane", supported=["cpu", "ane"], cost_weight=0.3
        ),
        PlannedOp(op="conv", output="z", preferred="cpu", supported=["cpu"], cost_weight=0.7),
    ]
    path = tmp_path / "own.jsonl"
    stayed = [replace(plan[0], cost_weight=1.0)]
    profile_file.write(
        [replace(records[0], plan=plan), replace(records[1], plan=stayed), *records[2:]], path
    )
    rows, _ = read_rows(path)
    assert rows["use"].tolist() == ["fallback", *["calibrate"] * 5]


def test_one_package_on_two_units_is_one_row(records: list[ProfileRecord], tmp_path: Path) -> None:
    again = replace(
        records[0], compute_unit="CPU_AND_NE", predict_ms=timed([4.0], warm_up=1, protocol="burst")
    )
    path = tmp_path / "own.jsonl"
    profile_file.write([*records, again], path)
    rows, _ = rows_of_device(path, "iphone15")
    assert len(rows) == 6
    assert rows["ms"].iloc[0] == pytest.approx(2.0)  # the geometric mean of 1 and 4


def test_calls_of_two_kinds_are_not_mixed(records: list[ProfileRecord], tmp_path: Path) -> None:
    single = replace(records[0], predict_ms=timed([4.0], warm_up=1, protocol="single"))
    path = tmp_path / "own.jsonl"
    profile_file.write([single, *records[1:]], path)
    with pytest.raises(ProfileError, match=r"cannot be compared.*single calls"):
        rows_of_device(path, "iphone15")


def test_a_file_without_the_device_says_what_it_has(
    records: list[ProfileRecord], tmp_path: Path
) -> None:
    path = tmp_path / "own.jsonl"
    profile_file.write(records, path)
    with pytest.raises(ProfileError, match=r"no usable row of device 'local_cpu'.*of iphone15"):
        rows_of_device(path, "local_cpu")


def test_a_broken_profile_file_is_a_profile_error(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text("{}\n")
    with pytest.raises(ProfileError, match="line 1"):
        read_rows(path)
