"""Names of files that are not UTF-8 or contain control characters, as a terminal shows them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEADER = "source,model,timm_name_if_any,input_res,device,compute_unit,latency_ms"
ROW = "own,ResNet18,resnet18,224x224,iPhone 13,ALL,1.20"
NAME = b"caf\xe9-\x1b[31mred\x1b[0m-two\nlines-" + "a\u202eb".encode()
"""A name with bytes that are not UTF-8, a colour, a line break and a change of direction."""
SHOWN = rb"caf\xe9-\x1b[31mred\x1b[0m-two\nlines-a\u202eb"


def run(*words: bytes, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-m", "latency_predictor", *words]
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, check=False)


def test_an_error_names_the_file(tmp_path: Path) -> None:
    done = run(b"evaluate", b"--profiles", NAME + b".csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"cannot read profiles '" + SHOWN + b".csv'")
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.decode().rstrip("\n").isprintable()


@pytest.mark.slow
def test_messages_of_every_kind(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/" + NAME + b".csv"
    with open(path, "w") as file:  # noqa: PTH123
        file.write(f"{HEADER}\n{ROW.replace('1.20', 'soon')}\n")
    for words in (
        (b"calibrate", b"--profiles", path, b"--out", path),
        (b"calibrate", b"--profiles", b"m.csv", b"--out", NAME + b"/out"),
        (b"calibrate", b"--profiles", path, b"--device", b"iphone13", b"--out", b"out"),
        (b"kit", NAME + b".yaml", b"--out", b"kit"),
        (b"profile", NAME),
        (b"evaluate", b"--model", path),
        (NAME,),
    ):
        done = run(*words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, b"")
        assert SHOWN in done.stderr
        assert done.stderr.decode().rstrip("\n").isprintable()
    done = run(b"evaluate", b"--profiles", path, cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["overall"]["n"] == 0
    assert done.stderr.startswith(b"Warning: profiles '")
    assert SHOWN in done.stderr
    assert done.stderr.decode().rstrip("\n").isprintable()
