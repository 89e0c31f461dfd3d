"""The command `report`, as a user meets it."""

import shutil
from pathlib import Path

import pytest

from search.__main__ import main

REFERENCE = Path(__file__).parents[3] / "results/reference"


@pytest.mark.parametrize("words", [["runs/mine"], ["mine", "--root", "runs"]])
def test_a_run_is_found_by_its_folder_and_by_its_name(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(REFERENCE, tmp_path / "runs/mine")
    monkeypatch.chdir(tmp_path)
    # The reference run is kept without its study.
    assert main(["report", *words]) == 2
    assert capsys.readouterr().err.startswith("runs/mine/study.journal is missing")


def test_an_unknown_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nothing", "--root", str(REFERENCE.parent)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("no run 'nothing'; expected a run's folder or the name of a run below ")
    assert said.endswith(": reference\n")
