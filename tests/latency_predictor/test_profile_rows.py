from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from latency_predictor import profile_file
from latency_predictor.measurements import join
from latency_predictor.ops import OpTable
from latency_predictor.profile_file import (
    Device,
    Host,
    Model,
    PredictMs,
    ProfileRecord,
    ops_of,
    timed,
)
from latency_predictor.profile_rows import read_rows, rows_of_device, usable_rows
from latency_predictor.profiles import ProfileError


def record(table: OpTable, number: int, ms: float) -> ProfileRecord:
    predict_ms: PredictMs = timed([ms] * 5, warm_up=2, protocol="burst", burst_calls=5)
    model = Model(
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
    measurements = join(rows, tables)
    assert set(rows["calibration"]) == {"a16-ane"}
    assert measurements.ms.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    for place, one in enumerate(records):
        totals = measurements.table.totals()["macs"][measurements.program[place]]
        assert totals == one.ops.totals()["macs"][0]


def test_synthetic_figures_are_never_used(records: list[ProfileRecord], tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    profile_file.write([replace(records[0], synthetic=True), *records[1:]], path)
    rows, _ = read_rows(path)
    assert rows["why"].iloc[0] == "no device produced it"
    assert len(usable_rows(rows)) == 5


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
