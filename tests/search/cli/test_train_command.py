"""The command `train`, as a user meets it."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from search.__main__ import main
from space.bitstream.model_file import Model


def test_training_says_what_it_wrote(made: Path) -> None:
    model, size_mb = Model.load(made / "model"), (made / "model").stat().st_size / 1e6
    said = re.fullmatch(
        r"(.*): model (\w+), (.*) MB; held-out photographs at quality 4: "
        r"(.*) bpp, (.*) dB PSNR, SSIMULACRA2 .*\n",
        (made / "said").read_text(),
    )
    assert said
    assert said.group(1, 2, 3) == (str(made / "model"), model.id.hex(), f"{size_mb:.1f}")
    assert 0.1 < float(said[4]) < 2
    assert 24 < float(said[5]) < 40


def test_training_says_what_it_skipped(
    made: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photographs"
    shutil.copytree(photographs, folder)
    Image.new("RGBA", (300, 300), (0, 0, 0, 99)).save(folder / "seen_through.png")
    (folder / "broken.jpg").write_bytes(b"not a photograph")
    words = [made / "narrow.yaml", tmp_path / "model", "--steps", "0", "--photos", folder]
    assert main(["train", *map(str, words)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        "Skipped 1 unreadable: broken.jpg",
        "Skipped 1 transparent: seen_through.png",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train light none/model", "none/model: cannot be written; there is no folder none"),
        ("train mine.yaml mine.yaml", "mine.yaml: is an input file and will not be replaced"),
        ("train light .", ".: is a folder; expected the name of a file to write"),
        ("train lihgt out", "no architecture 'lihgt'; expected one of light, pico_paper"),
        ("train coded out", "coded: "),
        ("train light out --photos none", "none: no such folder"),
        ("train mine/abc out", "no run 'mine'; expected a run's folder or the name of a run below"),
        ("train mine/abc out --root runs", "the name of a run below runs: there is none"),
        ("train light m --steps -1", "'--steps': '-1' is not a whole number from 0 to"),
        ("train light m --steps 1.5", "'--steps': '1.5' is not a whole number from 0 to"),
        ("train light m --seed 9223372036854775808", "'9223372036854775808' is not a whole"),
    ],
)
def test_bad_input_gets_one_line(words: str, said: str, refused: Callable[..., str]) -> None:
    Path("mine.yaml").write_text("encoder: {}\n")
    assert said in refused(*words.split())


def test_a_read_only_folder(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    said = refused("train", "light", "out")
    assert "out: cannot be written; folder . is read-only" in said
