"""The command `predict`, as a user meets it."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

Failure = Callable[..., str]


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
    ],
)
def test_bad_input_is_one_line(failure: Failure, argv: list[str], words: str) -> None:
    assert words in failure("predict", *argv)
