import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.photographs import (
    CROP,
    DataError,
    _decode,
    find_photographs,
    load_photographs,
)


def blocks(crops: np.ndarray) -> set[bytes]:
    return {crop.tobytes() for crop in crops}


def test_crops_of_a_folder(photographs: Path) -> None:
    loaded = load_photographs(str(photographs), 100, train_crops=20, select_crops=4)
    assert loaded.train.shape == (20, 3, CROP, CROP)
    assert loaded.select.shape == (4, 3, CROP, CROP)
    assert loaded.used == 6
    assert loaded.unreadable == loaded.small == ()


def test_the_split_depends_on_content_alone(photographs: Path, tmp_path: Path) -> None:
    for i, path in enumerate(find_photographs(str(photographs))[::-1]):
        shutil.copy(path, tmp_path / f"{i}.png")
    before = load_photographs(str(photographs), 100, 20, 4)
    assert load_photographs(str(tmp_path), 100, 20, 4).digest == before.digest


def test_crops_are_cut_from_the_photographs(photographs: Path) -> None:
    crop = load_photographs(str(photographs), 100, 4, 1).select[0].transpose(1, 2, 0)
    found = False
    for path in find_photographs(str(photographs)):
        image = np.asarray(Image.open(path))
        windows = np.lib.stride_tricks.sliding_window_view(image[..., 0], (CROP, CROP))
        found |= bool((windows[:, :, 0, 0] == crop[0, 0, 0]).any()) and any(
            (image[y : y + CROP, x : x + CROP] == crop).all()
            for y, x in np.argwhere(windows[:, :, 0, 0] == crop[0, 0, 0])
        )
    assert found


def test_unreadable_and_small_files_are_skipped_and_named(
    photographs: Path, tmp_path: Path
) -> None:
    shutil.copytree(photographs, tmp_path, dirs_exist_ok=True)
    (tmp_path / "broken.jpg").write_bytes(b"not a photograph")
    whole = (tmp_path / "china0.png").read_bytes()
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (300, 100)).save(tmp_path / "small.png")
    loaded = load_photographs(str(tmp_path), 100, 4, 1)
    assert set(loaded.unreadable) == {"broken.jpg", "truncated.png"}
    assert loaded.small == ("small.png",)
    assert loaded.used == 6


def test_orientation_is_respected(tmp_path: Path) -> None:
    image = Image.effect_noise((300, 500), 50).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert _decode(tmp_path / "turned.jpg")[1].shape == (300, 500, 3)


@pytest.mark.parametrize(("suffix", "side"), [("jpg", 600), ("png", 1200), ("tif", 1200)])
def test_large_lossy_photographs_are_halved(suffix: str, side: int, tmp_path: Path) -> None:
    path = tmp_path / f"large.{suffix}"
    Image.effect_noise((1200, 1200), 50).convert("RGB").save(path)
    assert _decode(path)[1].shape == (side, side, 3)


@pytest.mark.parametrize("kind", ["missing", "empty", "one"])
def test_folders_without_enough_photographs(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    if kind != "missing":
        folder.mkdir()
    if kind == "one":
        Image.new("RGB", (300, 300)).save(folder / "a.png")
    with pytest.raises(DataError, match="photos") as caught:
        load_photographs(str(folder), 100, 4, 1)
    said = {"missing": "no such folder", "empty": "no photographs", "one": "1 usable"}
    assert said[kind] in str(caught.value)


def test_built_in_photographs_are_installed() -> None:
    loaded = load_photographs(None, 100, train_crops=6, select_crops=1)
    assert loaded.used == 7
    assert len(blocks(loaded.train)) == 6
