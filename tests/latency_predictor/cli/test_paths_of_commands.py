"""Paths of the command line: empty ones, and those below the home folder."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_programs import ToyPrograms

from latency_predictor.measure import kit as kits

Output = Callable[..., Any]
Failure = Callable[..., str]
HEADER = "source,model,timm_name_if_any,input_res,device,compute_unit,latency_ms"
ROW = "own,ResNet18,resnet18,224x224,iPhone 13,ALL,1.20"
CALLS = [
    ("predict --network resnet18 --model PATH", "'--model'"),
    ("evaluate --profiles PATH", "'--profiles'"),
    ("evaluate --model PATH", "'--model'"),
    ("calibrate --profiles PATH --out out", "'--profiles'"),
    ("calibrate --profiles m.csv --out PATH", "'--out'"),
    ("calibrate --device iphone13 --profiles m.csv --out out --model PATH", "'--model'"),
    ("suggest toys --model PATH", "'--model'"),
    ("suggest PATH", "SPACE"),
    ("kit PATH --out out", "SPACE"),
    ("kit toys --out PATH", "'--out'"),
    ("kit toys --out out --model PATH", "'--model'"),
    ("profile PATH", "KIT"),
    ("profile kit --out PATH", "'--out'"),
    ("import PATH --kit kit --out out", "FILE"),
    ("import m.csv --kit PATH --out out", "'--kit'"),
    ("import m.csv --kit kit --out PATH", "'--out'"),
]  # fmt: skip


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder beside the current folder, which is empty as well."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    return home


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize(("call", "option"), CALLS)
def test_an_empty_path_is_an_error(
    call: str, option: str, empty: str, at_home: Path, failure: Failure
) -> None:
    said = failure(*(empty if word == "PATH" else word for word in call.split()))
    assert f"'{empty}' is not a path; expected the name of a file or folder" in said
    assert option.strip("'") in said
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(("call", "option"), CALLS)
def test_a_path_below_a_home_folder_is_expanded(
    call: str, option: str, at_home: Path, toys: ToyPrograms, failure: Failure
) -> None:
    said = failure(*(word.replace("PATH", "~/none/x.yaml") for word in call.split()))
    # The other errors are those of files that are looked for before.
    others = ("m.csv", "'kit' is not a kit", "at most 6 can be chosen")
    assert f"{at_home}/none" in said or any(words in said for words in others)
    assert list(Path.cwd().iterdir()) == []


def test_files_below_the_home_folder(
    at_home: Path, toys: ToyPrograms, output: Output, failure: Failure
) -> None:
    output("kit", "toys", "--n", 1, "--device", "local_cpu", "--out", "~/kit")
    model = kits.read(at_home / "kit").models[0].name
    (at_home / "m.csv").write_text(f"program,latency_ms\n{model},0.3\n")
    found = output("import", "~/m.csv", "--kit", "~/kit", "--out", "~/m.jsonl")
    assert found["out"] == str(at_home / "m.jsonl")
    assert output("evaluate", "--profiles", "~/m.jsonl")["overall"]["n"] == 0
    assert "1 usable rows" in failure(
        "calibrate", "--device", "local_cpu", "--profiles", "~/m.jsonl", "--out", "~/own.json"
    )
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("path", ["./~/m.csv", "a/~/m.csv", "~$m.csv", "~nobody-here/m.csv"])
def test_other_tildes_are_names_of_files(path: str, at_home: Path, output: Output) -> None:
    place = Path(os.path.abspath(path))  # noqa: PTH100
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"{HEADER}\n{ROW}\n")
    assert output("evaluate", "--profiles", path)["overall"]["n"] == 1
