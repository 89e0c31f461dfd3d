"""The command `predict`, as a user meets it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from latency_predictor.__main__ import main

Failure = Callable[..., str]
Output = Callable[..., Any]


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--network", "resnet_18"], "no network 'resnet_18' in timm"),
        (["--network", "resnet18", "--device", "ifone13"], "did you mean 'iphone13'"),
        (["--network", "resnet18", "--resolution", "big"], "'big' is not HEIGHTxWIDTH"),
        (["--network", "vit_tiny_patch16_224", "--resolution", "9x9"], "9x9"),
        (["--network", "torchvision:resnet18(width_mult=0.5)"], "does not run"),
        (["--network", "resnet18", "--model", "nowhere.json"], "nowhere.json"),
        (["timm:resnet18", "--network", "resnet18"], "expected one MODEL"),
        (["timm:resnet_18"], "did you mean 'resnet18'"),
        (["timm:resnet18", "--against", "timm:resnet_34"], "did you mean 'resnet34'"),
        (["torchvision:resnt18"], "did you mean 'resnet18'"),
        (["resnet18"], "did you mean timm:resnet18?"),
        (["model.pth"], "'model.pth' may hold pickled code"),
        (["model.mlmodelc"], "'model.mlmodelc' is compiled"),
        (["model.onnx"], "'model.onnx': no such file"),
        (["model.tflite"], "'model.tflite' is no model; expected a .mlpackage, .mlmodel or .onnx"),
        (["timm:resnet18", "--input", "224"], "takes images, such as --input 1x3x224x224"),
        (["timm:resnet18", "--input", "1x0"], "'1x0' is not a shape"),
        (["timm:resnet18", "--input", "1x4x64x64"], "does not run at 1x4x64x64"),
    ],
)
def test_bad_input_is_one_line(failure: Failure, argv: list[str], words: str) -> None:
    assert words in failure("predict", *argv)


def test_json_lists_every_op(output: Output) -> None:
    found = output("predict", "torchvision:mobilenet_v3_small", "--device", "iphone12", "--json")
    assert (found["network"], found["input"]) == ("torchvision:mobilenet_v3_small", "1x3x224x224")
    assert found["macs_g"] == pytest.approx(0.0565, rel=0.01)  # torchvision's documentation
    ops = found["ops"]
    total = found["fixed_ms"] + sum(op["ms"] for op in ops)
    assert total == pytest.approx(found["ms"], rel=1e-2)
    assert found["costliest"] in ops
    assert found["costliest"]["ms"] == max(op["ms"] for op in ops)
    assert sum(op["macs"] for op in ops) / 1e9 == pytest.approx(found["macs_g"], rel=1e-3)
    assert found["unknown_operators"] == {}
    gates = [op for op in ops if op["engine"] == "in doubt"]
    assert gates
    assert all("squeeze-and-excitation" in op["reasons"][0] for op in gates)


def test_two_networks_are_compared(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = ["timm:resnet18", "--input", "1x3x64x64"], "timm:resnet34"
    found = output("predict", *one, "--against", other, "--json")
    ms = output("predict", other, *one[1:], "--json")["ms"]
    relative = found["against"]
    assert relative["network"] == other
    assert relative["ratio"] == pytest.approx(found["ms"] / ms, rel=1e-2)
    assert relative["ratio_low"] < relative["ratio"] < relative["ratio_high"] < 1
    assert 0.95 < relative["faster_probability"] <= 1
    assert main(["predict", *one, "--against", other]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    printed = re.match(rf"Time by that of {other}: ([\d.]+) \(90 % interval ", last)
    assert printed
    assert float(printed[1]) == pytest.approx(relative["ratio"], abs=1e-3)
    assert "It is faster with a probability of" in last


def test_a_gpu_has_no_placement(output: Output) -> None:
    found = output("predict", "timm:resnet18", "--device", "iphone11pro-gpu", "--json")
    assert "placement" not in found
    assert "engine" not in found["ops"][0]


def test_the_table_says_what_costs_most(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "torchvision:alexnet", "--input", "1x3x200x300"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("torchvision:alexnet, input 1x3x200x300, on iphone13\n")
    assert "90 % interval" in printed.out
    # The first linear layer has 38 of the 61 million weights.
    assert "costliest op          classifier.1 (addmm)" in printed.out
