import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy_programs import ToyPrograms

from latency_predictor.measure import kit as kits
from latency_predictor.measure.kit import Kit, KitError
from latency_predictor.measure.measured_elsewhere import records_of
from latency_predictor.profiles import profile_file
from latency_predictor.profiles.profile_file import ProfileFileError, ProfileRecord

BURSTS: dict[str, Any] = {
    "runner": "burst-runner",
    "version": 1,
    "device": {
        "product_type": "iPhone14,5", "os": "iOS 17.5.1", "build": "21F90", "low_power": False,
    },
    "programs": [
        {
            "name": "encoder_toy1", "compute_unit": unit, "load_ms": 80.5, "warm_up": 5,
            "burst_calls": 3, "samples": [1.0, 2, 3, 5, 4, 6, 9, 9, 9],
            "plan": [{"op": "ios17.conv", "output": "x", "preferred": "ane",
                      "supported": ["cpu", "gpu", "ane"]}],
            "thermal_state": "fair", "measured_at": "2026-01-02T03:04:05Z",
        }
        for unit in ("ALL", "CPU_AND_NE")
    ],
}  # fmt: skip
"""Results as BurstRunner.swift writes them. Swift omits a cost that is nil."""


@pytest.fixture
def kit() -> Kit:
    """Two toy architectures for an iPhone 16 Pro."""
    return kits.make(ToyPrograms(), "toys", "iphone16pro", [1, 4], seed=0)


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_burst_runners_results(kit: Kit, tmp_path: Path) -> None:
    first, second = records_of(write(tmp_path / "burst_results.json", BURSTS), kit)
    assert (first.compute_unit, second.compute_unit) == ("ALL", "CPU_AND_NE")
    assert first.device.name == "iPhone 13"  # the phone that it says it is, not the kit's
    assert (first.device.thermal_state, first.device.low_power) == ("fair", False)
    assert first.model == kit.models[0]
    assert first.predict_ms.protocol == "burst"
    assert first.ms == 5.0  # of the bursts' medians 2, 5 and 9
    assert first.load_ms == 80.5
    assert first.plan[0].preferred == "ane"
    assert first.plan[0].cost_weight is None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda r: r["device"].pop("os"), "device.os: Field required"),
        (lambda r: r["programs"][1].update(samples=[1, 2]), "2 samples are .*whole number"),
        (lambda r: r["programs"][1].update(load_ms="long"), r"programs\.1\.load_ms"),
        (lambda r: r.update(programs=[]), "programs: List should have at least 1 item"),
        (lambda r: r.update(version=2), "version"),
    ],
)
def test_damaged_results_are_named(kit: Kit, tmp_path: Path, damage: Any, words: str) -> None:
    results = json.loads(json.dumps(BURSTS))
    damage(results)
    path = write(tmp_path / "burst_results.json", results)
    with pytest.raises(ProfileFileError, match=words) as caught:
        records_of(path, kit)
    assert str(path) in str(caught.value)


ROW = {"program": "decoder_toy4", "latency_ms": "4.25"}
TABLES = {
    "least": [ROW],
    "all": [
        {
            **ROW, "load_ms": "310", "compute_unit": "CPU and Neural Engine",
            "device": "iPhone 15 Pro", "os": "iOS 17.4", "note": "cool",
        }
    ],
    "other words": [
        {"Model": "decoder_toy4.mlpackage", "Prediction (ms)": "4,25 ms", "Load ms": ""}
    ],
}  # fmt: skip


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("form", ["csv", "semicolons", "json", "one object"])
def test_tables_of_figures(kit: Kit, tmp_path: Path, rows: list[dict[str, str]], form: str) -> None:
    path = tmp_path / "figures"
    if form in ("csv", "semicolons"):
        with path.open("w", encoding="utf-8-sig", newline="") as file:  # as Excel writes it
            delimiter = ";" if form == "semicolons" else ","
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    else:
        write(path, rows if form == "json" else rows[0])
    (record,) = records_of(path, kit)
    assert record.model.name == "decoder_toy4"
    assert record.ms == 4.25
    assert record.predict_ms.protocol == "unstated"
    assert record.measured_at is None
    full = len(rows[0]) > 3
    assert record.load_ms == (310 if full else None)
    assert record.compute_unit == ("CPU_AND_NE" if full else "ALL")
    assert record.device.name == ("iPhone 15 Pro" if full else "iphone16pro")
    assert record.device.os == ("iOS 17.4" if full else None)


def test_a_hardware_id_names_the_phone(kit: Kit, tmp_path: Path) -> None:
    (record,) = records_of(write(tmp_path / "x.json", [{**ROW, "device": "iPhone17,2"}]), kit)
    assert (record.device.name, record.device.product_type) == ("iPhone 16 Pro Max", "iPhone17,2")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("program,latency_ms\ndecoder_toy4,fast\n", "line 2: 'fast' is not a positive number"),
        ("program,latency_ms\ndecoder_toy4,-1\n", "line 2: '-1' is not a positive number"),
        ("program,latency_ms\ndecoder_toy4\n", "line 2: no latency_ms; .* program, latency_ms"),
        ("name,time\ndecoder_toy4,4\n", "line 2: no latency_ms; .* name, time"),
        ("program,latency_ms\n", "no measurements"),
        ("", "no measurements"),
        ("[]", "no measurements"),
        ("[1, 2]", "expected a list of objects"),
        ('[{"program": "decoder_toy4"}]', "entry 1: no latency_ms"),
        ("{'program': 1}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (
            "program,latency_ms,compute_unit\ndecoder_toy4,4,TPU\n",
            "line 2: compute_unit 'TPU'; accepted: ALL, CPU_AND_NE, CPU_AND_GPU, CPU_ONLY",
        ),
    ],
)
def test_a_table_that_cannot_be_used(kit: Kit, tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(ProfileFileError, match=words):
        records_of(write(tmp_path / "figures.csv", content), kit)


def test_a_program_of_another_kit(kit: Kit, tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "program,latency_ms\ndecoder_toy5,4\n")
    with pytest.raises(KitError, match="no program 'decoder_toy5'; did you mean 'decoder_toy"):
        records_of(path, kit)


def test_a_profile_file_passes_through(kit: Kit, tmp_path: Path, record: ProfileRecord) -> None:
    path = tmp_path / "profile.jsonl"
    own = replace(record, model=kit.models[0])
    records = [own, replace(own, compute_unit="CPU_ONLY")]
    profile_file.write(records, path)
    assert records_of(path, kit) == records
    path.write_text(path.read_text()[:-9])
    with pytest.raises(ProfileFileError, match="line 2: not JSON"):
        records_of(path, kit)


def test_a_profile_file_of_another_kit(kit: Kit, tmp_path: Path, record: ProfileRecord) -> None:
    path = tmp_path / "profile.jsonl"
    profile_file.write([record], path)
    with pytest.raises(KitError, match=f"the kit has no program '{record.model.name}'"):
        records_of(path, kit)


def test_a_missing_file(kit: Kit, tmp_path: Path) -> None:
    with pytest.raises(ProfileFileError, match="cannot read measurements"):
        records_of(tmp_path / "no.csv", kit)
