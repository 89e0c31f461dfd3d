"""Refusals of `encode` and `decode`: one clear line, exit code 2, nothing written."""

import os
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from PIL import Image

from search.__main__ import main
from space.bitstream.model_file import FORMER_MODEL_KEY, MODEL_KEY, Model


def change_model(path: Path, key: str = FORMER_MODEL_KEY, **changes: torch.Tensor | None) -> None:
    """Write a copy of the model `model` beside it, with other tensors or without them.

    The copy has the form of earlier versions, whose files have no checksum.
    """
    with safetensors.safe_open(path.with_name("model"), framework="pt") as file:
        metadata = {key: file.metadata()[MODEL_KEY].partition(" ")[2]}
    tensors = safetensors.torch.load_file(path.with_name("model")) | changes
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    safetensors.torch.save_file(kept, path, metadata)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("encode none.png out --model model", "none.png: No such file or directory; expected"),
        ("encode coded out --model model", "coded: not a readable image; expected PNG"),
        ("encode photo.png out --model none", "none: no such model"),
        ("encode photo.png out --model narrow.yaml", "narrow.yaml: not a model, or a damaged"),
        ("encode photo.png out --model .", "model.safetensors: no such model"),
        ("encode photo.png none/out --model model", "none/out: cannot be written; there is no"),
        ("encode photo.png coded/out --model model", "coded/out: cannot be written; there is"),
        ("encode photo.png . --model model", ".: is a folder; expected the name of a file"),
        ("encode photo.png / --model model", "/: is a folder; expected the name of a file"),
        ("encode photo.png /dev/null --model model", "/dev/null: is not a regular file"),
        (
            "encode photo.png new.JPG --model model",
            "new.JPG: a compressed photograph is no",
        ),
        ("decode none out.png --model model", "No such file or directory: 'none'"),
        ("decode . out.png --model model", "Is a directory: '.'"),
        ("decode coded out.png --model none", "none: no such model"),
        ("decode coded out.png --model coded", "coded: not a model, or a damaged one"),
        ("decode photo.png out.png --model model", "photo.png: not a compressed image: it be"),
        ("decode coded out.jpg --model model", "out.jpg: only PNG is written; expected a name"),
        ("decode coded out --model model", "out: only PNG is written; expected a name that"),
        ("decode coded none/out.png --model model", "none/out.png: cannot be written; there"),
    ],
)
def test_said_on_one_line(words: str, said: str, refused: Callable[..., str]) -> None:
    assert said in refused(*words.split())


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (slice(-1), "truncated: "),
        (slice(30), "truncated: 30 bytes, but 39 are needed for the table of 1 tiles"),
        (slice(20), "truncated: 20 bytes, but 27 are needed for the header"),
        (slice(2), "not a compressed image"),
        (slice(0), "not a compressed image"),
    ],
)
def test_truncated_files(part: slice, said: str, refused: Callable[..., str]) -> None:
    Path("cut").write_bytes(Path("coded").read_bytes()[part])
    assert f"cut: {said}" in refused("decode", "cut", "out.png", "--model", "model")


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (0, "not a compressed image"),
        (4, "format version 254, but only versions 1 and 2 can be read"),
        (8, "damaged header"),
        (30, "damaged tile table"),
        (100, "damaged tile 1 of 1"),
        (-1, "damaged tile 1 of 1"),
    ],
)
def test_damaged_files(at: int, said: str, refused: Callable[..., str]) -> None:
    data = bytearray(Path("coded").read_bytes())
    data[at] ^= 255
    Path("damaged").write_bytes(data)
    assert f"damaged: {said}" in refused("decode", "damaged", "out.png", "--model", "model")


def test_longer_files(refused: Callable[..., str]) -> None:
    Path("longer").write_bytes(Path("coded").read_bytes() + b"ab")
    said = refused("decode", "longer", "out.png", "--model", "model")
    assert said == "longer: 2 bytes after the end of the image\n"


def test_a_failure_leaves_the_older_file(refused: Callable[..., str]) -> None:
    Path("out.png").write_bytes(b"older")
    refused("decode", "narrow.yaml", "out.png", "--model", "model")
    refused("encode", "narrow.yaml", "out.png", "--model", "model")


def test_another_model(refused: Callable[..., str]) -> None:
    other = Model.load(Path("model"))
    other.id = bytes(8)
    other.save(Path("other"))
    said = refused("decode", "coded", "out.png", "--model", "other")
    assert said.startswith("coded: written by model ")
    assert said.endswith("which `decode` takes by --model\n")


def test_a_model_of_another_version(refused: Callable[..., str]) -> None:
    change_model(Path("newer"), "codec-search model 99")
    for words in (["encode", "photo.png", "out"], ["decode", "coded", "out.png"]):
        said = refused(*words, "--model", "newer")
        assert said.startswith("newer: ")
        assert "codec-search model 99" in said
        assert MODEL_KEY in said


@pytest.mark.parametrize("missing", ["decoder.synthesis.head.weight", "tables.cdfs"])
def test_a_model_that_lacks_a_part(missing: str, refused: Callable[..., str]) -> None:
    change_model(Path("part"), **{missing: None})
    said = refused("encode", "photo.png", "out", "--model", "part")
    assert said == "part: damaged (its weights are not those that were saved)\n"


@pytest.mark.parametrize(
    ("weights", "words", "said"),
    [
        ("encoder.analysis.head.bias", "encode photo.png out", "the model's symbols are NaN"),
        ("decoder.synthesis.head.weight", "decode coded out.png", "the decoded image contains NaN"),
    ],
)
def test_a_model_whose_numbers_overflow(
    weights: str, words: str, said: str, refused: Callable[..., str]
) -> None:
    model = Model.load(Path("model"))
    attrgetter(weights)(model).fill_(3e38)
    model.save(Path("huge"))
    assert refused(*words.split(), "--model", "huge").startswith(f"huge: {said}")


def test_transparent_images(refused: Callable[..., str]) -> None:
    image = Image.open("photo.png").convert("RGBA")
    image.putalpha(128)
    image.save("clear.png")
    said = refused("encode", "clear.png", "out", "--model", "model")
    assert said.startswith("clear.png: has transparent pixels")
    assert "flatten it onto a background first" in said


def test_folders_that_are_read_only(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    for words in (
        ["encode", "photo.png", "out", "--model", "model"],
        ["decode", "coded", "out.png", "--model", "model"],
    ):
        assert "out" in (said := refused(*words))
        assert "cannot be written; folder . is read-only" in said


def test_a_full_disk(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, data: bytes) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    said = refused("encode", "photo.png", "out", "--model", "model")
    assert said == "out: cannot be written (No space left on device)\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "encode a b --model m --quality nan",
            "'--quality': 'nan' is not a number from 0 to 7",
        ),
        ("encode a b --model m --quality 9", "'--quality': '9' is not a number from 0 to 7"),
        ("encode a b --model m --quality -1", "'--quality': '-1' is not a number from 0 to 7"),
        ("encode a b --model m --quality high", "'high' is not a number from 0 to 7"),
        ("decode a --model m", "expected FILE OUT, or several files and --output DIR; got a"),
        ("encode a b c --model m", "expected IMAGE OUT, or several files and --output DIR; "),
        ("encode a b --threads 0", "'0' is not a whole number of at least 1"),
        ("encode x/a.png a.jpg -o o", "x/a.png and a.jpg would both be written to o/a.pcd"),
        ("encode photo.png --output model", "model: is a file; expected the name of a folder"),
    ],
)
def test_words_of_a_wrong_kind(words: str, said: str, refused: Callable[..., str]) -> None:
    assert said in refused(*words.split())


def test_an_interrupted_command_writes_nothing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("space.runtime.files.encode", interrupt)
    words = ["encode", made / "photo.png", tmp_path / "a", "--model", made / "model"]
    assert main([*map(str, words)]) == 130
    assert list(tmp_path.iterdir()) == []
