"""Paths as a user gives them: empty, with a tilde, of a file to keep, with names of all kinds."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from search.__main__ import main
from search.cli.overrides import CONFIG_PATHS, composed

TINY = ["run", "+space=pico_tiny", "proxy=tiny", "proxy.metrics=[psnr]", "search.metric=psnr"]
MODEL = ("--model", "model")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        *(((*TINY, f"{key}="), f"'{key}=': expected a path") for key in CONFIG_PATHS),
        ((*TINY, "data.root=''"), "'data.root=': expected a path"),
        (("pretrain", "+space=pico_tiny", "data.root="), "'data.root=': expected a path"),
        (("promote", "reference", "--knee", "data.root="), "'data.root=': expected a path"),
        (("promote", "reference", "--knee", "start="), "'start=': expected a path"),
        (("bench", ""), "'' is not a path"),
        (("bench", ".", "--out", ""), "'' is not a path"),
        (("bench", ".", "--model", ""), "'' is not a path"),
        (("train", "light", "m", "--photos", ""), "'' is not a path"),
        (("train", "", "m"), "'' is not a path"),
        (("train", "light", ""), "'' is not a path"),
        (("report", ""), "'' is not a path"),
        (("report", "a", "b", "--out", ""), "'' is not a path"),
        (("report", "a", "--root", ""), "'' is not a path"),
        (("promote", "", "--knee"), "'' is not a path"),
        (("encode", "", "out", *MODEL), "'' is not a path"),
        (("encode", "photo.png", "", *MODEL), "'' is not a path"),
        (("decode", "", "a.png", *MODEL), "'' is not a path"),
        (("decode", "coded", "", *MODEL), "'' is not a path"),
        (("export", ""), "'' is not a path"),
        (("export", "model", "--out", ""), "'' is not a path"),
        ((*TINY, "data.root=${HOME}/x"), "or ${oc.env:HOME} for the value of HOME"),
        ((*TINY, "run.root='${HOME}'"), "'run.root=${HOME}': variables of the shell are not"),
        ((*TINY, "run.root=photo.png"), "photo.png"),
        ((*TINY, "data.root=photo.png"), "folder photo.png: is a file; expected a folder"),
        (("bench", "photo.png"), "folder photo.png: is a file; expected a folder"),
        (("bench", "many", "--out", "photo.png"), "photo.png: is a file; expected the name of a"),
        (("bench", "many", "--out", "many"), "many: is the folder of the photographs; choose"),
        ((*TINY, "data.root=many", "run.root=.", "run.name=many"), "many: is the folder of the"),
        ((*TINY, f"run.seed={2**64}"), f"run.seed={2**64}: expected at most"),
        ((*TINY, f"run.seed={10**30}"), f"run.seed={10**30}: expected at most"),
        ((*TINY, "run.seed=-1"), "run.seed=-1: expected at least 0"),
    ],
)  # fmt: skip
def test_said_in_one_line(words: tuple[str, ...], said: str, refused: Callable[..., str]) -> None:
    Path("many").mkdir()
    Image.new("RGB", (300, 300)).save("many/a.png")
    assert said in refused(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("encode", "photo.png", "other.png", *MODEL), "other.png: exists and is no file of enc"),
        (("encode", "photo.png", "narrow.yaml", *MODEL), "narrow.yaml: exists and is no file of"),
        (("decode", "coded", "other.png", *MODEL), "other.png: exists and is no picture that"),
        (("decode", "coded", "text.png", *MODEL), "text.png: exists and is no picture that"),
        (("train", "light", "photo.png"), "photo.png: exists and is no model; expected another"),
        (("report", "a", "b", "--out", "other.png"), "other.png: exists and is no page"),
    ],
)
def test_other_files_are_not_replaced(
    words: tuple[str, ...], said: str, refused: Callable[..., str]
) -> None:
    Image.new("RGB", (8, 8)).save("other.png")
    Path("text.png").write_text("a text")
    assert said in refused(*words)


def test_own_files_are_replaced_and_others_with_force(made: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("notes")
    words = ["encode", made / "photo.png", tmp_path / "notes", "--model", made / "model"]
    assert main([*map(str, words), "--force"]) == 0
    assert main(list(map(str, words))) == 0
    words = ["decode", tmp_path / "notes", tmp_path / "a.png", "--model", made / "model"]
    for _ in range(2):
        assert main(list(map(str, words))) == 0


@pytest.mark.parametrize("name", ["x" * 252, "é" * 126, os.fsdecode(b"caf\xe9"), "\x1b[31mred"])
def test_names_of_all_kinds_are_written_and_printed(
    name: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / name
    words = ["encode", made / "photo.png", out, "--model", made / "model", "--quality", "0"]
    assert main(list(map(str, words))) == 0
    assert out.is_file()
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "bytes" in printed


def test_a_tilde_is_the_home_folder(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    words = ["+space=pico_tiny", "run.root=~/runs", "search.trials=1"]
    (config,) = composed("run", words)
    assert config.run.root == str(tmp_path / "home/runs")
    assert f"below {tmp_path}/home/runs: " in refused("report", "x", "--root=~/runs")
    assert f"{tmp_path}/home/a: is a file" in _with_file(tmp_path, refused)
    assert not Path("~").exists()


def _with_file(folder: Path, refused: Callable[..., str]) -> str:
    (folder / "home").mkdir()
    (folder / "home/a").touch()
    return refused("bench", "nested", "--out=~/a")


def test_a_page_may_be_replaced(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "page.html").write_text("<!doctype html>\n")
    assert "no run 'a'" in refused("report", "a", "b", "--out", "page.html")
