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


def test_an_unknown_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The project's own folder may have other runs.
    shutil.copytree(REFERENCE, tmp_path / "reference")
    assert main(["report", "nothing", "--root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("no run 'nothing'; expected a run's folder or the name of a run below ")
    assert said.endswith(": reference\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("mine --out a.html", "--out a.html: expected only with several runs"),
        ("mine --json --watch", "--json: not accepted with --watch"),
        ("mine --json --serve", "--json: not accepted with --serve"),
        ("mine --port 8000", "--port 8000: expected only with --serve"),
        ("mine --serve --port 0", "'0' is not a whole number from 1 to 65535"),
        ("mine --serve --port 65536", "'65536' is not a whole number from 1 to 65535"),
        ("mine --serve --port http", "'http' is not a whole number from 1 to 65535"),
        ("", "Missing argument 'RUN'"),
        ("mine nothing", "no run 'nothing'; expected a run's folder"),
        ("mine mine", "study.journal is missing"),
    ],
)
def test_refused_in_one_line(
    words: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(REFERENCE, tmp_path / "results/mine")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    assert main(["report", *words.split()]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""
    assert sorted(tmp_path.rglob("*")) == before
