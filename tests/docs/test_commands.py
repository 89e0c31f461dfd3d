"""Every command of README.md and the tutorials runs, with the small settings of `documented`."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pillow_heif
import pytest
import ray
import torch
from documented import OURS, ROOT, SKIPPED, SMALL, Command, blocks
from PIL import Image

from latency_predictor.__main__ import main as predict
from latency_predictor.measure import kit as kits
from search.__main__ import main as search
from space.architecture import Architecture, Chain
from space.bitstream.model_file import Model
from space.codec.codec import Codec
from space.lowering.programs import randomise

MAIN = {"search": search, "latency_predictor": predict}
BLOCKS = blocks()
REFERENCE = ROOT / "results/reference"
RUNS = ("pico_large", "mine", "try")
"""Runs that the pages take for granted. The tests take the reference run for them."""
SMALLEST = Architecture(
    encoder=(Chain(16, 0), Chain(24, 0), Chain(32, 0)),
    decoder=(Chain(32, 0), Chain(24, 0), Chain(16, 0)),
    latent_channels=32,
    hyper_channels=8,
)


class Started(BaseException):
    """A command would start its workers now."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that the pages take for granted: photographs, runs, and a model of the reader's own."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("reader")
    crops = sorted((ROOT / "search/held_out").glob("*.webp"))
    for name, chosen in (("Pictures", crops[:5]), ("Others", crops[5:6])):
        (folder / name).mkdir()
        for path in chosen:
            Image.open(path).convert("RGB").save(folder / name / f"{path.stem}.png")
    pillow_heif.from_pillow(Image.open(crops[0]).convert("RGB")).save(folder / "photo.heic")
    model = Model.of(Codec(SMALLEST))
    # No converter merges such weights, as it does those of an untrained codec.
    randomise(model.decoder, 0)
    randomise(model.encoder, 1)
    model.save(folder / "light.safetensors")
    for run in RUNS:
        copy = folder / "results" / run
        shutil.copytree(REFERENCE, copy, ignore=shutil.ignore_patterns("promoted"))
        for name in ("quick", "mine"):
            promoted = copy / f"promoted/0123456789ab-{name}"
            promoted.mkdir(parents=True)
            model.save(promoted / "model.safetensors")
    return folder


@pytest.fixture
def place(reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the reader's folder, which is the home folder and the working folder."""
    folder = tmp_path / "reader"
    shutil.copytree(reader, folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def _no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(**_: object) -> None:
        raise Started

    monkeypatch.setattr(ray, "init", start)


def expanded(words: list[str], folder: Path) -> Iterator[str]:
    """Words as a shell expands them, and the places that a reader fills in."""
    for word in words:
        word = re.sub(r"\bID\b(?=-)", "*", word)
        word = re.sub(r"^~", str(folder), word)
        if "*" in word:
            models = [path for path in folder.glob(word) if (path / "model.safetensors").is_file()]
            found = [str(path.relative_to(folder)) for path in models]
            assert len(found) == 1, f"{word}: {found}"
            word = found[0]
        yield word


def call(command: Command, folder: Path) -> int:
    package, *words = expanded(command.small(), folder)
    return MAIN[OURS[package]](words)


def stand_in(command: Command) -> None:
    """Leave what the page goes on with after a command that is not run: times of a phone."""
    measured = re.search(r" profile (\S+) --out (\S+)$", command.text)
    if measured is None:
        return
    kit, out = measured.groups()
    rows = [f"{program.name},{1.5 + n}" for n, program in enumerate(kits.read(Path(kit)).models)]
    Path("times.csv").write_text("\n".join(["program,latency_ms", *rows]) + "\n")
    assert predict(["import", "times.csv", "--kit", kit, "--out", out]) == 0
    shutil.copy(out, "others.jsonl")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("block", BLOCKS)
def test_the_commands_of_a_block_run(
    block: str, place: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    for command in BLOCKS[block]:
        if command.reason is not None:
            stand_in(command)
            continue
        if command.full or not SMALL[command.kind].trains:
            code = call(command, place)
            assert code == 0, f"{command.text}: {capfd.readouterr().err}"
        else:
            request.getfixturevalue("_no_workers")
            with pytest.raises(Started):
                call(command, place)


def test_every_command_has_small_settings_or_a_reason() -> None:
    unknown = [
        command.text
        for listed in BLOCKS.values()
        for command in listed
        if command.reason is None and command.kind not in SMALL
    ]
    assert unknown == []


def test_the_commands_of_readme_are_found() -> None:
    kinds = {
        command.kind
        for block, listed in BLOCKS.items()
        if block.startswith("README.md")
        for command in listed
    }
    assert {"search run", "search encode", "search promote", "search export"} <= kinds
    assert all(SKIPPED.values())


def test_settings_take_the_place_of_those_of_the_page() -> None:
    line = "python -m search run +space=pico_large search.trials=200 data.root=~/Pictures  # all"
    words = Command(line, True).small()
    assert words[:4] == ["search", "run", "+space=pico_small", "data.root=~/Pictures"]
    assert [word for word in words if word.startswith("search.trials")] == ["search.trials=2"]
    words = Command("python -m search bench ~/Others --codecs jpeg,webp", True).small()
    assert words[words.index("--codecs") + 1] == "jpeg"
