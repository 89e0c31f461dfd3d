"""The command `study create`, with real encoders."""

import json
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut, coffee

from search.__main__ import main
from search.human_study.manifest import Study
from search.human_study.server.app import read_study
from space.architecture import Architecture, Chain
from space.bitstream import files
from space.bitstream.model_file import Model
from space.codec.codec import Codec
from space.codec.initialisation import fit_initialisation, start_from

PHOTOGRAPHS = {"a.png": astronaut()[100:292, 150:342], "b <b>.png": coffee()[100:260, 200:420]}
SIDE = 128


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs, one that is too small, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    for name, pixels in PHOTOGRAPHS.items():
        Image.fromarray(pixels).save(folder / name)
    Image.fromarray(coffee()[:100, :100]).save(folder / "small.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n")
    return folder


def create(photos: Path, out: Path, *words: str) -> int:
    common = ("--crop", f"{SIDE}x{SIDE}", "--out", str(out), "--workers", "1")
    return main(["study", "create", str(photos), *common, *words])


def test_a_folder_with_the_name_of_a_codec_is_no_model(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jpeg").mkdir()
    monkeypatch.chdir(tmp_path)
    assert create(photos, tmp_path / "mine", "--codecs", "jpeg", "--bpp", "1", "2") == 0
    assert {each.codec for each in read_study(tmp_path / "mine").conditions} == {"jpeg"}


def test_from_photographs_to_a_study(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine"
    assert create(photos, out, "--codecs", "jpeg,webp", "--bpp", "0.01", "1", "2") == 0
    said = capsys.readouterr().out
    study = read_study(out)
    labels = [condition.label for condition in study.conditions]
    assert labels == ["jpeg 1", "jpeg 2", "webp 1", "webp 2"]
    assert len(study.pictures) == 2
    for codec in ("jpeg", "webp"):
        assert f"{codec} 0.01 bpp is left out: 2 of 2 pictures cannot have this rate" in said
    assert "broken.png: not a readable image" in said
    assert "small.png: 100x100 pixels are smaller than the crop of 128x128" in said
    assert all(f"{label} bpp: " in said for label in labels)

    for picture in study.pictures:
        original = np.asarray(Image.open(out / picture.original))
        assert original.shape == (SIDE, SIDE, 3)
        # The crop is a part of a photograph at its own resolution.
        assert any(
            np.array_equal(original, whole[top : top + SIDE, left : left + SIDE])
            for whole in PHOTOGRAPHS.values()
            for top in range(0, whole.shape[0] - SIDE + 1)
            for left in range(0, whole.shape[1] - SIDE + 1)
        )
        for stimulus in picture.stimuli:
            file = BytesIO()
            quality = int(stimulus.setting.removeprefix("quality "))
            options = {"jpeg": {"optimize": True}, "webp": {"method": 6}}[stimulus.codec]
            Image.fromarray(original).save(file, stimulus.codec, quality=quality, **options)
            assert len(file.getvalue()) == stimulus.bytes
            assert stimulus.bpp == pytest.approx(8 * stimulus.bytes / SIDE**2)
            assert stimulus.bpp == pytest.approx(stimulus.target_bpp, rel=0.1)
            shown = Image.open(out / stimulus.file)
            assert shown.info == {}
            assert np.array_equal(np.asarray(shown), np.asarray(Image.open(file).convert("RGB")))
    written = {str(path.relative_to(out)) for path in out.rglob("*.png")}
    assert written == {
        place
        for picture in study.pictures
        for place in (picture.original, picture.catch, *(each.file for each in picture.stimuli))
    }


@pytest.mark.slow
def test_a_model_is_one_of_the_codecs(photos: Path, tmp_path: Path) -> None:
    chains = (Chain(24, 0), Chain(32, 0), Chain(48, 0))
    crop = torch.tensor(astronaut()[:256, :256]).permute(2, 0, 1).float() / 255
    torch.manual_seed(0)
    codec = start_from(
        Codec(Architecture(chains, chains[::-1], 32, 12)), fit_initialisation([crop])
    )
    path = tmp_path / "small.safetensors"
    Model.of(codec).save(path)
    out = tmp_path / "mine"
    assert create(photos, out, "--codecs", f"jpeg,{path}", "--bpp", "0.6") == 0
    study, model = Study.read(out), Model.load(path)
    for picture in study.pictures:
        stimulus = picture.shown()["small 0.6"]
        original = np.array(Image.open(out / picture.original))
        file = files.encode(original, model, float(stimulus.setting.removeprefix("quality ")))
        assert len(file) == stimulus.bytes == pytest.approx(0.6 * SIDE**2 / 8, rel=0.02)
        shown = np.asarray(Image.open(out / stimulus.file))
        assert np.array_equal(shown, files.decode(file, model))


def test_photographs_of_equal_names_have_different_ids(photos: Path, tmp_path: Path) -> None:
    """The second `a` cannot be `a-2`, because the photograph `a-2` has this id already."""
    for place in ("one/A-2.png", "one/a.png", "two/a.png"):
        (tmp_path / "photos" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / "a.png", tmp_path / "photos" / place)
    out = tmp_path / "mine"
    words = ("--codecs", "jpeg", "--bpp", "1", "2", "--choose", "central")
    assert create(tmp_path / "photos", out, *words) == 0
    assert [picture.id for picture in Study.read(out).pictures] == ["A-2", "a", "a-3"]


def test_a_study_is_not_replaced_and_its_pictures_are_no_photographs(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    assert create(photos, tmp_path / "mine", "--codecs", "jpeg") == 2
    assert "exists already; expected the name of a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--codecs jpge", "unknown codec 'jpge'; expected one of jpeg, webp"),
        ("--codecs jpeg,", "'jpeg,' is not a list of names separated by commas"),
        ("--codecs none.safetensors", "none.safetensors"),
        ("--codecs jpeg --bpp much", "'much' is not a bit rate; expected bits per pixel"),
        ("--codecs jpeg --bpp 0.5 0", "'0' is not a bit rate"),
        ("--codecs jpeg --crop 12x12", "'12x12' is not a size; expected WIDTHxHEIGHT"),
        ("--codecs jpeg --choose best", "'best': expected one of detailed, central"),
        ("", "--codecs"),
    ],
)
def test_what_cannot_be_made_is_one_line(
    photos: Path, tmp_path: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(photos, tmp_path / "mine", *words.split()) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("words", ["--codecs jpeg --bpp 1", "--codecs jpeg,webp --bpp 0.001"])
def test_one_condition_is_no_study(
    photos: Path, tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(photos, tmp_path / "mine", *words.split()) == 2
    assert "expected two codecs or rates or more" in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_is_no_study_is_not_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "serve", str(tmp_path)]) == 2
    assert "expected a folder that `search study create` wrote" in capsys.readouterr().err


def test_a_changed_file_is_noticed(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine"
    assert create(photos, out, "--codecs", "jpeg", "--bpp", "1", "2", "--choose", "central") == 0
    content = json.loads((out / "study.json").read_text())
    assert Study.read(out).seed == content["seed"]
    (out / content["pictures"][0]["stimuli"][0]["file"]).unlink()
    assert main(["study", "serve", str(out)]) == 2
    assert "is missing; restore the folder from a copy" in capsys.readouterr().err
