"""A folder with a trained codec, and commands that are refused in one line."""

from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from search.__main__ import main

NARROW = """
encoder:
  4: {C: 48, R: 0, E: 1, F: 1}
  8: {C: 96, R: 0, E: 1, F: 1}
  16: {C: 128, R: 0, E: 1, F: 1}
decoder:
  16: {C: 128, R: 0, E: 1, F: 1}
  8: {C: 96, R: 0, E: 1, F: 1}
  4: {C: 24, R: 0, E: 1, F: 1}
latent_channels: 128
hyper_channels: 16
activation: relu
resampling: haar
context: checkerboard
quantisation: learned
scales: learned
scale_path: linear
"""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def made(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a photograph and the file that one makes of the other.

    What training said is in `said`.
    """
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("made")
    (folder / "narrow.yaml").write_text(NARROW)
    words = [folder / "narrow.yaml", folder / "model", "--steps", "1", "--photos", photographs]
    with (folder / "said").open("w") as said, redirect_stdout(said), redirect_stderr(said):
        assert main(["train", *map(str, words)]) == 0
    photo = Image.fromarray(np.array(load_sample_image("china.jpg"))).resize((900, 600))
    photo.crop((0, 0, 320, 240)).save(folder / "photo.png")
    coding = [folder / "photo.png", folder / "coded", "--model", folder / "model", "--quality", 5]
    assert main(["encode", *map(str, coding)]) == 0
    return folder


@pytest.fixture
def refused(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """The one line that a command says in a folder like `made`, in which it changes nothing."""
    for file in made.iterdir():
        (tmp_path / file.name).hardlink_to(file)
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> str:
        before = contents(tmp_path)
        code = main(words)
        printed = capsys.readouterr()
        assert code == 2
        assert printed.out == ""
        assert len(printed.err.splitlines()) == 1
        assert contents(tmp_path) == before
        return printed.err

    return call


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
