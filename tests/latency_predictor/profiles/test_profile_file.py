import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from latency_predictor.ops import COLUMNS, OpTable
from latency_predictor.profiles import profile_file
from latency_predictor.profiles.profile_file import Ops, ProfileFileError, ProfileRecord, timed


def damaged(record: ProfileRecord, path: Path, change: Callable[[dict[str, Any]], Any]) -> str:
    """The message of `read` for a file whose second line was changed."""
    profile_file.write([record, record], path)
    first, second, _ = path.read_text().split("\n")
    content = json.loads(second)
    change(content)
    path.write_text(f"{first}\n{json.dumps(content)}\n")
    with pytest.raises(ProfileFileError) as caught:
        profile_file.read(path)
    assert f"{str(path)!r}, line 2" in str(caught.value)
    return str(caught.value)


def test_what_is_written_is_read_again(record: ProfileRecord, tmp_path: Path) -> None:
    other = replace(record, compute_unit="CPU_ONLY", load_ms=None, plan=[], measured_at=None)
    path = tmp_path / "profile.jsonl"
    profile_file.write([record, other], path)
    assert profile_file.read(path) == [record, other]
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FrozenInstanceError):
        record.synthetic = False  # type: ignore[misc]


def test_a_record_carries_its_op_list(
    record: ProfileRecord, random_programs: Callable[..., OpTable]
) -> None:
    """The record has the ops that occur, with the same totals."""
    table = random_programs(1)
    assert {field.name for field in fields(Ops)} == set(COLUMNS) - {"program"}
    kept = table.count > 0
    assert not kept.all()
    for name in COLUMNS:
        assert_array_equal(getattr(record.ops, name), getattr(table, name)[kept])
    assert record.ops.programs == 1
    for name, total in table.totals().items():
        assert record.ops.totals()[name] == pytest.approx(total), name


@given(
    bursts=st.lists(st.lists(st.floats(1e-3, 1e4), min_size=3, max_size=3), min_size=1, max_size=9)
)
def test_the_median_is_that_over_bursts(bursts: list[list[float]]) -> None:
    samples = [ms for burst in bursts for ms in burst]
    found = timed(samples, warm_up=0, protocol="burst", burst_calls=3)
    assert found.median == pytest.approx(np.median(np.median(bursts, axis=1)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.pop("device"), "device: Field required"),
        (lambda r: r["model"].pop("ops"), "model.ops: Field required"),
        (lambda r: r["model"].update(macs="many"), "model.macs: Input should be a valid integer"),
        (lambda r: r["model"]["ops"]["kind"].__setitem__(0, 99), "model.ops.kind.0"),
        (lambda r: r["model"]["ops"]["count"].pop(), "different lengths"),
        (lambda r: r["predict_ms"].update(median=9.0), "median 9.0 is not that of the samples"),
        (lambda r: r["predict_ms"]["samples"].pop(), "whole number of bursts"),
        (lambda r: r["predict_ms"].update(samples=[]), "predict_ms.samples"),
        (lambda r: r["predict_ms"]["samples"].__setitem__(1, -2.0), "predict_ms.samples.1"),
        (lambda r: r["predict_ms"]["samples"].__setitem__(1, float("nan")), "predict_ms.samples.1"),
        (lambda r: r.update(compute_unit="ANE"), "'CPU_ONLY', not 'ANE'"),
        (lambda r: r.update(measured_at="yesterday"), "measured_at"),
        (lambda r: r.update(coment="typo"), "coment: Unexpected keyword argument"),
        (lambda r: r.update(schema=2), "schema 2; this version reads 1"),
    ],
)
def test_a_malformed_line_is_named_with_its_field(
    record: ProfileRecord, tmp_path: Path, change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    assert words in damaged(record, tmp_path / "profile.jsonl", change)


@given(fraction=st.floats(0, 1, exclude_max=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_anywhere_is_read_to_a_line_or_refused(
    record: ProfileRecord, tmp_path: Path, fraction: float
) -> None:
    path = tmp_path / "profile.jsonl"
    profile_file.write([record, record], path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(fraction * len(whole))])
    try:
        found = profile_file.read(path)
    except ProfileFileError:
        return
    assert found in ([record], [record, record])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xff\xfe", "cannot read"),
        (b"[1]\n", "line 1, content"),
        (b"{'a': 1}\n", "line 1: not JSON"),
    ],
)
def test_what_is_no_profile_file(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "profile.jsonl"
    path.write_bytes(content)
    with pytest.raises(ProfileFileError, match=words):
        profile_file.read(path)


def test_a_missing_file_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(ProfileFileError, match=r"cannot read profiles '.*no\.jsonl'"):
        profile_file.read(tmp_path / "no.jsonl")


def test_an_interrupted_write_leaves_the_file(
    record: ProfileRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "profile.jsonl"
    profile_file.write([record], path)

    def stops(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", stops)
    with pytest.raises(OSError, match="disk full"):
        profile_file.write([record, record], path)
    assert profile_file.read(path) == [record]
