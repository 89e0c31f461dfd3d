"""The command `calibrate`, as a user meets it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latency_predictor.model import artefact

Output = Callable[..., Any]
Failure = Callable[..., str]
HEADER = "source,model,timm_name_if_any,input_res,device,compute_unit,latency_ms"
ROW = "own,ResNet18,resnet18,224x224,iPhone 13,ALL,1.20"


@pytest.mark.slow
def test_calibrate_adds_rows_and_leaves_the_shipped_model_alone(
    output: Output,
    tmp_path: Path,
    written: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("latency_predictor.model.recalibrate.cross_validation", lambda _: {})
    monkeypatch.setattr("latency_predictor.model.crossval.FOLDS", 2)
    shipped = artefact.SHIPPED_MODEL.read_bytes()
    path, out = written(HEADER, ROW), tmp_path / "own.json"
    found = output("calibrate", "--profiles", str(path), "--out", str(out))
    assert found["rows"] == artefact.load().calibration_rows + 1
    assert artefact.load(out).calibration_sha256 != artefact.load().calibration_sha256
    assert artefact.SHIPPED_MODEL.read_bytes() == shipped


def test_calibrate_refuses_a_device_of_one_row(
    failure: Failure, tmp_path: Path, written: Callable[..., Path]
) -> None:
    path = written(HEADER, ROW.replace("ALL", "CPU_ONLY"))
    argv = ["calibrate", "--profiles", str(path), "--out", str(tmp_path / "own.json")]
    assert "a15-cpu has too few rows" in failure(*argv)
    assert not (tmp_path / "own.json").exists()


def test_calibrate_a_device_from_a_few_of_its_rows(
    output: Output, tmp_path: Path, written: Callable[..., Path]
) -> None:
    rows = [
        ROW.replace("iPhone 13", "iPhone 14 Pro").replace("resnet18", name).replace("1.20", ms)
        for name, ms in (
            ("resnet18", "1.05"), ("resnet34", "1.60"), ("resnet50", "1.50"),
            ("mobilenetv2_100", "0.55"), ("repvit_m1", "0.90"),
        )
    ]  # fmt: skip
    path, out = written(HEADER, *rows), tmp_path / "own.json"
    argv = ["--device", "iPhone 15", "--profiles", str(path), "--out", str(out)]
    found = output("calibrate", *argv)
    assert (found["rows"], found["calibration"]) == (5, "a16-ane")
    before, after = (
        output("predict", "--network", "resnet101", "--device", "iphone15", *model)
        for model in ([], ["--model", str(out)])
    )
    assert before["measure_me"]
    assert after["distance"] < before["distance"] / 2
    others = [
        output("predict", "--network", "resnet101", "--device", "iphone12", *model)
        for model in ([], ["--model", str(out)])
    ]
    assert others[0] == others[1]


def test_measured_calibrated_predicted_verified(output: Output, tmp_path: Path) -> None:
    """Real times of a processor: calibrated on every third architecture, scored on the others."""
    measured = Path(__file__).parents[3] / "benchmarks" / "local_cpu.jsonl"
    records = [json.loads(line) for line in measured.read_text().splitlines()]
    names = sorted({record["model"]["architecture_id"] for record in records})
    files = {True: tmp_path / "calibration.jsonl", False: tmp_path / "others.jsonl"}
    for calibrating, path in files.items():
        lines = [
            json.dumps(record)
            for record in records
            if (names.index(record["model"]["architecture_id"]) % 3 == 0) == calibrating
        ]
        path.write_text("\n".join(lines) + "\n")
    out = str(tmp_path / "own.json")
    argv = ["--device", "local_cpu", "--profiles", str(files[True]), "--out", out]
    assert output("calibrate", *argv)["rows"] == 40
    found = output("evaluate", "--profiles", str(files[False]), "--model", out)
    score: dict[str, float] = found["per_device"]["local_cpu"]
    assert score["n"] == 80
    assert score["within_10"] > 0.8
    assert score["kendall_tau"] > 0.9
    assert 0.8 < score["coverage"] <= 1


def test_calibrate_a_device_says_what_the_file_has(
    failure: Failure, tmp_path: Path, written: Callable[..., Path]
) -> None:
    argv = ["--profiles", str(written(HEADER, ROW)), "--out", str(tmp_path / "own.json")]
    message = failure("calibrate", "--device", "iphone15", *argv)
    assert "no usable row of device 'iphone15'; it has rows of iphone13" in message
    message = failure("calibrate", "--device", "iphone13", *argv)
    assert "1 usable rows" in message
    assert not (tmp_path / "own.json").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--profiles", "nowhere.csv", "--out", "x.json"], "nowhere.csv"),
        (["--out", "no/such/folder/x.json"], "there is no folder no/such/folder"),
        (["--device", "iphone15"], "needs --profiles FILE"),
        (["--device", "", "--profiles", "x.csv"], "needs --profiles FILE"),
        (["--profiles", "x.csv"], "needs --out FILE"),
        (["--profiles", "x.csv", "--out", "./x.csv"], "x.csv: is an input file"),
        (["--profiles", "x.csv", "--out", "."], ".: is a folder; expected the name of a file"),
    ],
)
def test_bad_input_is_one_line(failure: Failure, argv: list[str], words: str) -> None:
    assert words in failure("calibrate", *argv)
