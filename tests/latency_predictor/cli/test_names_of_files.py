"""Names of files that are not UTF-8 or contain control characters, as a terminal shows them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEADER = "source,model,timm_name_if_any,input_res,device,compute_unit,latency_ms"
ROW = "own,ResNet18,resnet18,224x224,iPhone 13,ALL,1.20"
NAMES = {
    b"caf\xe9": rb"caf\xe9",
    b"\x1b[31mred\x1b[0m": rb"\x1b[31mred\x1b[0m",
    b"two\nlines": rb"two\nlines",
    "a\u202eb".encode(): rb"a\u202eb",
}


def run(*words: bytes, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-m", "latency_predictor", *words]
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, check=False)


def test_an_error_names_the_file(tmp_path: Path) -> None:
    name, shown = b"-".join(NAMES), b"-".join(NAMES.values())
    done = run(b"evaluate", b"--profiles", name + b".csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"cannot read profiles '" + shown + b".csv'")
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.decode().rstrip("\n").isprintable()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shown"), NAMES.items())
def test_messages_of_every_kind(name: bytes, shown: bytes, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/" + name + b".csv"
    with open(path, "w") as file:  # noqa: PTH123
        file.write(f"{HEADER}\n{ROW.replace('1.20', 'soon')}\n")
    for words in (
        (b"calibrate", b"--profiles", path, b"--out", path),
        (b"calibrate", b"--profiles", b"m.csv", b"--out", name + b"/out"),
        (b"calibrate", b"--profiles", path, b"--device", b"iphone13", b"--out", b"out"),
        (b"kit", name + b".yaml", b"--out", b"kit"),
        (b"profile", name),
        (b"evaluate", b"--model", path),
        (name,),
    ):
        done = run(*words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, b"")
        assert shown in done.stderr
        assert done.stderr.decode().rstrip("\n").isprintable()
    done = run(b"evaluate", b"--profiles", path, cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["overall"]["n"] == 0
    assert done.stderr.startswith(b"Warning: profiles '")
    assert shown in done.stderr
    assert done.stderr.decode().rstrip("\n").isprintable()
