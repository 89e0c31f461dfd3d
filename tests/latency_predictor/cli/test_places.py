"""No command replaces its input or a device, and a place that cannot be written is named."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_programs import ToyPrograms

from latency_predictor.cli.places import check_file, check_folder
from latency_predictor.measure import kit as kits
from latency_predictor.model import artefact
from latency_predictor.profiles.table import SHIPPED_PROFILES

Failure = Callable[..., str]


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a kit and with a file of measurements under several names."""
    monkeypatch.chdir(tmp_path)
    made = kits.make(ToyPrograms(), "toys", "local_cpu", [1], seed=0)
    list(kits.write(made, ToyPrograms(), Path("kit")))
    Path("m.jsonl").write_text("program,latency_ms\nencoder_toy1,1.5\n")
    Path("link.jsonl").symlink_to("m.jsonl")
    Path("hard.jsonl").hardlink_to("m.jsonl")
    Path("folder").mkdir()
    Path("folder/link").symlink_to(tmp_path)
    return tmp_path


READERS = {
    "calibrate": ["calibrate", "--device", "iphone13", "--profiles"],
    "refit": ["calibrate", "--profiles"],
    "import": ["import", "--kit", "kit"],
}
SAME = ["m.jsonl", "./m.jsonl", "ABSOLUTE", "link.jsonl", "hard.jsonl", "folder/link/m.jsonl"]


@pytest.mark.parametrize("out", SAME)
@pytest.mark.parametrize("given", ["m.jsonl", "link.jsonl", "folder/../m.jsonl"])
@pytest.mark.parametrize("command", READERS)
def test_an_input_is_kept(
    command: str, given: str, out: str, at_work: Path, failure: Failure
) -> None:
    before = Path("m.jsonl").read_bytes()
    out = out.replace("ABSOLUTE", str(at_work / "m.jsonl"))
    said = failure(*READERS[command], given, "--out", out)
    assert f"{Path(out)}: is an input file and will not be replaced" in said
    assert Path("m.jsonl").read_bytes() == before
    assert Path("link.jsonl").is_symlink()


CALIBRATE = ["calibrate", "--device", "iphone13", "--profiles", "m.jsonl"]


@pytest.mark.parametrize(
    "words",
    [
        ["import", "m.jsonl", "--kit", "kit", "--out", "kit/kit.json"],
        ["profile", "kit", "--out", "kit/kit.json"],
        [*CALIBRATE, "--out", str(SHIPPED_PROFILES)],
        [*CALIBRATE, "--out", str(artefact.SHIPPED_MODEL)],
        [*CALIBRATE, "--model", "own.json", "--out", "own.json"],
    ],
)
def test_inputs_that_are_not_named_as_profiles_are_kept(
    words: list[str], at_work: Path, failure: Failure
) -> None:
    assert "is an input file and will not be replaced" in failure(*words)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (".", ".: is a folder; expected the name of a file to write"),
        ("/", "/: is a folder; expected the name of a file to write"),
        ("folder/link", "folder/link: is a folder; expected"),
        ("none/out", "none/out: cannot be written; there is no folder none"),
        ("m.jsonl/out", "m.jsonl/out: cannot be written; there is no folder m.jsonl"),
        ("/dev/null", "/dev/null: is not a regular file and will not be replaced"),
        ("/dev/stdout", "/dev/stdout: is not a regular file and will not be replaced"),
        ("/dev/new", "/dev/new: is not a regular file"),
        ("/dev/fd/1", "/dev/fd/1: is not a regular file"),
        ("/proc/new", "/proc/new: is not a regular file"),
        ("pipe", "pipe: is not a regular file and will not be replaced"),
        ("to_null", "to_null: is not a regular file and will not be replaced"),
        ("x" * 256, "File name too long"),
    ],
)
@pytest.mark.parametrize("command", [*READERS, "profile"])
def test_a_place_that_cannot_be_written(
    command: str, out: str, said: str, at_work: Path, failure: Failure
) -> None:
    os.mkfifo("pipe")
    Path("to_null").symlink_to("/dev/null")
    words = [*READERS[command], "m.jsonl"] if command in READERS else ["profile", "kit"]
    before = sorted(path.name for path in at_work.iterdir())
    assert said in failure(*words, "--out", out)
    assert sorted(path.name for path in at_work.iterdir()) == before
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("m.jsonl", "m.jsonl: is a file; expected the name of a folder to write"),
        ("/dev/null", "/dev/null: is a file; expected the name of a folder"),
        ("m.jsonl/kit", "m.jsonl/kit: cannot be written; "),
        ("kit", "'kit' already holds a kit; choose another folder"),
        ("docs", "'docs' already holds README.md; choose another folder"),
        ("/proc/kit", "/proc/kit: cannot be written"),
    ],
)
def test_a_folder_that_cannot_be_written(
    out: str, said: str, at_work: Path, toys: ToyPrograms, failure: Failure
) -> None:
    Path("docs").mkdir()
    Path("docs/README.md").write_text("mine")
    assert said in failure("kit", "toys", "--n", "1", "--device", "local_cpu", "--out", out)
    assert Path("docs/README.md").read_text() == "mine"


def test_read_only_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(PermissionError, match=rf"out: cannot be written; folder {tmp_path} is"):
        check_file(tmp_path / "out")
    with pytest.raises(PermissionError, match=rf"b: cannot be written; folder {tmp_path} is"):
        check_folder(tmp_path / "a" / "b")


def test_places_that_can_be_written(tmp_path: Path) -> None:
    check_file(tmp_path / "new", tmp_path / "other")
    check_folder(tmp_path / "a" / "b")
    check_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
