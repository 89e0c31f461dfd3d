import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from latency_predictor.__main__ import main
from latency_predictor.model import artefact

HEADER = "source,model,timm_name_if_any,input_res,device,compute_unit,latency_ms"
ROW = "own,ResNet18,resnet18,224x224,iPhone 13,ALL,1.20"


def output(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    assert main(argv) == 0
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def failure(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    try:
        code = main(argv)
    except SystemExit as stop:
        code = stop.code  # type: ignore[assignment]
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_predict_as_a_user_runs_it() -> None:
    argv = ["predict", "--network", "mobilenetv3_small_050", "--resolution", "160x128"]
    done = subprocess.run(
        [sys.executable, "-m", "latency_predictor", *argv],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["device"] == "iphone13"
    assert 0 < found["low_ms"] < found["ms"] < found["high_ms"]
    assert found["parameters_m"] == pytest.approx(1.59, abs=0.02)  # timm's own table
    assert done.stderr == ""


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, latency_predictor; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_evaluate_scores_a_file(
    capsys: pytest.CaptureFixture[str], written: Callable[..., Path]
) -> None:
    path = written(
        HEADER,
        ROW,
        ROW.replace("resnet18", "resnet34").replace("iPhone 13", "iPhone 12 Pro"),
        ROW.replace("resnet18", "no_such_net"),
        ROW.replace("iPhone 13", "iPhone X"),  # Core ML does not use its Neural Engine
        ROW.replace("1.20", "soon"),
        ROW.replace("own", "react-native-executorch"),
    )
    found = output(capsys, "evaluate", "--profiles", str(path))
    assert found["overall"]["n"] == 2  # type: ignore[index]
    assert set(found["per_device"]) == {"iphone13", "iphone12pro"}  # type: ignore[call-overload]
    assert found["per_source"]["own"]["n"] == 2  # type: ignore[index]
    assert found["not_scored"] == {
        "device without calibration": 1,
        "network cannot be rebuilt": 1,
        "unfit: latency unreadable": 1,
        "unfit: whole app call, not inference": 1,
    }


def test_evaluate_of_only_good_and_of_no_good_rows(
    capsys: pytest.CaptureFixture[str], written: Callable[..., Path]
) -> None:
    found = output(capsys, "evaluate", "--profiles", str(written(HEADER, ROW)))
    assert found["not_scored"] == {}
    found = output(capsys, "evaluate", "--profiles", str(written(HEADER, ROW.replace("1.20", "?"))))
    assert found["overall"]["n"] == 0  # type: ignore[index]
    assert found["not_scored"] == {"unfit: latency unreadable": 1}


def test_evaluate_tells_in_sample_from_held_out(capsys: pytest.CaptureFixture[str]) -> None:
    found = output(capsys, "evaluate")
    inside = found["in_sample"]["overall"]  # type: ignore[index]
    held_out = found["cross_validation"]["held_out_family"]["roofline"]  # type: ignore[index]
    assert inside["n"] == artefact.load().calibration_rows
    outside = held_out["pooled"].values()
    assert inside["mape"] < sum(one["n"] * one["mape"] for one in outside) / inside["n"]


def test_calibrate_adds_rows_and_leaves_the_shipped_model_alone(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    written: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("latency_predictor.model.recalibrate.cross_validation", lambda _: {})
    monkeypatch.setattr("latency_predictor.model.crossval.FOLDS", 2)
    shipped = artefact.SHIPPED.read_bytes()
    path, out = written(HEADER, ROW), tmp_path / "own.json"
    found = output(capsys, "calibrate", "--profiles", str(path), "--out", str(out))
    assert found["rows"] == artefact.load().calibration_rows + 1
    assert artefact.load(out).calibration_sha256 != artefact.load().calibration_sha256
    assert artefact.SHIPPED.read_bytes() == shipped


def test_calibrate_refuses_a_device_of_one_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, written: Callable[..., Path]
) -> None:
    path = written(HEADER, ROW.replace("iPhone 13", "iPhone 14 Pro"))
    argv = ["calibrate", "--profiles", str(path), "--out", str(tmp_path / "own.json")]
    assert "a16-ane has too few rows" in failure(capsys, *argv)
    assert not (tmp_path / "own.json").exists()


def test_calibrate_a_device_from_a_few_of_its_rows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, written: Callable[..., Path]
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
    found = output(capsys, "calibrate", *argv)
    assert (found["rows"], found["calibration"]) == (5, "a16-ane")
    before, after = (
        output(capsys, "predict", "--network", "resnet101", "--device", "iphone15", *model)
        for model in ([], ["--model", str(out)])
    )
    assert before["measure_me"]
    assert after["distance"] < before["distance"] / 2  # type: ignore[operator]
    others = [
        output(capsys, "predict", "--network", "resnet101", "--device", "iphone12", *model)
        for model in ([], ["--model", str(out)])
    ]
    assert others[0] == others[1]


def test_measured_calibrated_predicted_verified(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
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
    assert output(capsys, "calibrate", *argv)["rows"] == 40
    found = output(capsys, "evaluate", "--profiles", str(files[False]), "--model", out)
    score: dict[str, float] = found["per_device"]["local_cpu"]  # type: ignore[index]
    assert score["n"] == 80
    assert score["within_10"] > 0.8
    assert score["kendall_tau"] > 0.9
    assert 0.8 < score["coverage"] <= 1


def test_calibrate_a_device_says_what_the_file_has(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, written: Callable[..., Path]
) -> None:
    argv = ["--profiles", str(written(HEADER, ROW)), "--out", str(tmp_path / "own.json")]
    message = failure(capsys, "calibrate", "--device", "iphone15", *argv)
    assert "no usable row of device 'iphone15'; it has rows of iphone13" in message
    message = failure(capsys, "calibrate", "--device", "iphone13", *argv)
    assert "1 usable rows" in message
    assert not (tmp_path / "own.json").exists()


def test_suggest_names_architectures(capsys: pytest.CaptureFixture[str]) -> None:
    found = output(capsys, "suggest", "pico_tiny", "--n", "3")
    identities = {item["id"] for item in found["architectures"]}  # type: ignore[attr-defined]
    assert len(identities) == 3


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["predcit"],
            "'predcit'; commands: predict, evaluate, calibrate, suggest, kit, profile, import; "
            "did you mean 'predict'?",
        ),
        (["predict", "--network", "resnet_18"], "no network 'resnet_18' in timm"),
        (["predict", "--network", "resnet18", "--device", "ifone13"], "did you mean 'iphone13'"),
        (["predict", "--network", "resnet18", "--resolution", "big"], "'big' is not HEIGHTxWIDTH"),
        (["predict", "--network", "vit_tiny_patch16_224", "--resolution", "9x9"], "9x9"),
        (["evaluate", "--profiles", "nowhere.csv"], "nowhere.csv"),
        (["calibrate", "--profiles", "nowhere.csv", "--out", "x.json"], "nowhere.csv"),
        (["calibrate", "--out", "no/such/folder/x.json"], "does not exist"),
        (["calibrate", "--device", "iphone15"], "needs --profiles FILE"),
        (["calibrate", "--device", "", "--profiles", "x.csv"], "needs --profiles FILE"),
        (["calibrate", "--profiles", "x.csv"], "needs --out FILE"),
        (["predict", "--network", "torchvision:resnet18(width_mult=0.5)"], "does not run"),
        (["suggest", "pico_tiny", "--seed", "-1"], "'-1' is not a seed"),
        (["predict", "--network", "resnet18", "--model", "nowhere.json"], "nowhere.json"),
        (["suggest", "pico_larg"], "did you mean pico_large"),
        (["suggest", "pico_tiny", "--n", "none"], "'none' is not a number of architectures"),
        (["suggest", "pico_tiny", "--device", "ifone13"], "did you mean 'iphone13'"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    assert words in failure(capsys, *argv)
