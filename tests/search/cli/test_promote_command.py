"""`promote` as a user meets it."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest

from search.__main__ import main

REFERENCE = Path(__file__).parents[3] / "results/reference"
FASTEST = pd.read_csv(REFERENCE / "front.csv")["id"].iloc[0]
"""The smallest codec of the reference run's front."""
SMALL = [
    "promote", "reference", "--id", FASTEST, "recipe.crops=8", "data.select_crops=2",
    "recipe.batch=1", "recipe.perceptual.loss.ssimulacra2=0", "recipe.perceptual.steps=20",
    "recipe.validate_every=10",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder that has the reference run."""
    shutil.copytree(REFERENCE, tmp_path / "results/reference")
    return tmp_path


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "search", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def call(folder: Path, *words: str) -> tuple[int, str, str]:
    process = started(folder, *words)
    out, error = process.communicate(timeout=280)
    return process.returncode, out, error


def models(folder: Path) -> Path:
    return folder / "results/reference/promoted"


def wait_for(path: Path) -> None:
    """Wait for a file of the first validation, after which the training is saved."""
    deadline = time.monotonic() + 200
    while not path.is_file():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_it_ends_as_if_it_had_not_been(
    family: Callable[[int], dict[psutil.Process, str]], folder: Path
) -> None:
    code, out, error = call(folder, *SMALL, "name=whole")
    assert code == 0, error
    whole = models(folder) / f"{FASTEST}-whole"
    assert f"Model: {whole}" in out
    for name in ("model.safetensors", "README.md", "pictures.png", "tensorboard"):
        assert (whole / name).exists()

    # A worker that dies is replaced; a driver that dies takes all with it, until it is repeated.
    worker = models(folder) / f"{FASTEST}-worker"
    process = started(folder, *SMALL, "name=worker")
    wait_for(worker / "validation.csv")
    next(child for child, line in family(process.pid).items() if "ImplicitFunc" in line).kill()
    assert process.wait(timeout=280) == 0
    driver = models(folder) / f"{FASTEST}-driver"
    process = started(folder, *SMALL, "name=driver")
    wait_for(driver / "validation.csv")
    process.kill()
    assert call(folder, *SMALL, "name=driver")[0] == 0
    for broken in (worker, driver):
        for name in ("losses.csv", "validation.csv", "model.safetensors"):
            assert (broken / name).read_bytes() == (whole / name).read_bytes(), (broken, name)

    code, _, error = call(folder, *SMALL, "name=whole", "recipe.batch=2")
    assert code == 2
    assert re.search(r"whole was started with other values of recipe\.batch; .* name=NAME", error)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["nope", "--knee"],
            "no run 'nope'; expected a run's folder or the name of",
        ),
        (["reference", "--knee", "--root", "runs"], "the name of a run below runs: there is none"),
        (["reference", "--knee", "pico"], "'pico' is not an override; expected key=value"),
        (["reference"], "expected --id ID, --best-under-ms MS, --knee or --shortlist N"),
        (["reference", "--knee", "--end-to-end"], "expected only with --best-under-ms"),
        (["reference", "--id", "nope"], "no candidate 'nope'; the nearest ids are"),
        (["reference", "--best-under-ms", "-3"], "'-3' is not a number of milliseconds above 0"),
        (
            ["reference", "--knee", "recipe=nope"],
            "recipe=nope: expected one of cpu_hours, pico, quick, standard",
        ),
        (
            ["reference", "--knee", "recipe.stepz=3"],
            "unknown key 'recipe.stepz' in 'recipe.stepz=3'; did",
        ),
        (
            ["reference", "--knee", "recipe.critic_rate=1e-4"],
            "'recipe.critic_rate=1e-4': critic_rate is called critic_lr now",
        ),
        (
            ["reference", "--knee", "recipe.batch=0"],
            "recipe.batch=0: expected at least 1",
        ),
        (["reference", "--knee", "name=a/b"], "name=a/b: expected letters, digits"),
        (["reference", "--knee", "start=nowhere"], "nowhere/checkpoint.safetensors: no such"),
        (["reference", "--knee", "recipe@x=3"], "recipe@x=3"),
        (["reference", "--knee", "recipe.perceptual.loss.nope=1"], "metric 'nope' is unknown"),
        (["reference", "--knee", "recipe.batch=some"], "recipe.batch"),
        pytest.param(
            ["reference", "--knee", "processes=64"],
            "processes=64: expected at most",
            marks=pytest.mark.slow,
        ),
        (["reference", "--knee", "address=nowhere"], "address=nowhere: "),
        (["reference", "--knee", "data.root=nowhere"], "folder nowhere: no such folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    folder: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    assert main(["promote", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not list(folder.rglob("checkpoint.safetensors"))
