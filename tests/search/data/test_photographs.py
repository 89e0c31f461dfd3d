import hashlib
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_images import display_p3
from PIL import Image

from search.data import photographs as module
from search.data import shipped_crops
from search.data.images import Decoded, read_rgb
from search.data.photographs import (
    CROP,
    DataError,
    _decode,
    find_photographs,
    load_photographs,
    split_photographs,
)

SETS = ("select", "report", "train")
contents = st.integers(0, 2**256 - 1).map("{:064x}".format)


def set_of(content: str) -> str:
    """The set of a content, by thresholds alone."""
    position = Fraction(int(content[:8], 16), 2**32)
    return SETS[(position >= Fraction(1, 4)) + (position >= Fraction(2, 5))]


def sets(found: set[str]) -> dict[str, str]:
    """Set by content."""
    return {content: name for name in SETS for content in getattr(split_photographs(found), name)}


def content_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def flat(folder: Path, names: range) -> dict[int, str]:
    """Photographs of one colour each: the set of each by its content, by its first channel."""
    folder.mkdir(exist_ok=True)
    made = {}
    for name in names:
        path = folder / f"{name}.tif"
        Image.new("RGB", (CROP, CROP), (name, 0, 0)).save(path)
        made[name] = set_of(content_of(path))
    return made


def loaded_sets(folder: Path) -> dict[int, str]:
    """The same mapping as `flat` returns, from the loaded photographs."""
    loaded = load_photographs(str(folder), 400, train_crops=60, select_crops=30)
    return {
        **{int(crop[0, 0, 0]): "train" for crop in loaded.train},
        **{int(crop[0, 0, 0]): "select" for crop in loaded.select},
        **{int(path.stem): "report" for path in loaded.report},
    }


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


class TestSplit:
    """Every photograph in one set, which nothing that is added takes it from."""

    @given(st.sets(contents, min_size=2, max_size=40), st.sets(contents, max_size=40))
    def test_photographs_stay_where_they_are(self, before: set[str], added: set[str]) -> None:
        first = sets(before)
        counts = [list(map(set_of, before)).count(name) for name in SETS]
        if counts[0] >= 2 and min(counts) >= 1:
            assert first == {content: set_of(content) for content in before}
            assert {c: name for c, name in sets(before | added).items() if c in before} == first

    @given(st.sets(contents, min_size=2, max_size=12))
    def test_no_set_of_a_small_folder_is_empty(self, found: set[str]) -> None:
        parts = split_photographs(found)
        assert parts.select + parts.report + parts.train == sorted(found)
        assert len(parts.select) >= (2 if len(found) >= 6 else 1)
        assert len(parts.report) >= (1 if len(found) >= 3 else 0)
        assert parts.train

    @given(st.sets(contents, min_size=2, max_size=12))
    def test_a_small_folder_moves_no_more_than_it_must(self, found: set[str]) -> None:
        moved = sum(name != set_of(content) for content, name in sets(found).items())
        lacking = [
            max(0, least - list(map(set_of, found)).count(name))
            for name, least in (
                ("select", 2 if len(found) >= 6 else 1),
                ("report", 1 if len(found) >= 3 else 0),
                ("train", 1),
            )
        ]
        # What one set lacks may have to come through the next.
        assert moved <= 2 * sum(lacking)

    def test_crops_follow_the_split_as_photographs_are_added(self, tmp_path: Path) -> None:
        before = flat(tmp_path, range(30))
        assert loaded_sets(tmp_path) == before
        both = before | flat(tmp_path, range(30, 45))
        assert loaded_sets(tmp_path) == both
        assert set(both.values()) == set(SETS)

    def test_equal_files_are_one_photograph(self, tmp_path: Path) -> None:
        made = flat(tmp_path, range(20))
        shutil.copytree(tmp_path, tmp_path / "again")
        assert loaded_sets(tmp_path) == made
        assert load_photographs(str(tmp_path), 400, 8, 8).used == 20


class TestCache:
    """Photographs are decoded once."""

    @pytest.fixture
    def folder(self, tmp_path: Path, photographs: Path) -> Path:
        shutil.copytree(photographs, tmp_path / "photographs")
        (tmp_path / "photographs/broken.jpg").write_bytes(b"not a photograph")
        return tmp_path / "photographs"

    @pytest.fixture
    def decoded(self, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        """Paths that are decoded from now on."""
        seen: list[Path] = []

        def decode(path: Path) -> Decoded:
            seen.append(path)
            return _decode(path)

        monkeypatch.setattr(module, "_decode", decode)
        return seen

    def test_a_second_start_decodes_nothing(
        self, folder: Path, tmp_path: Path, decoded: list[Path]
    ) -> None:
        plain = load_photographs(str(folder), 100, 20, 4)
        first = load_photographs(str(folder), 100, 20, 4, tmp_path / "cache")
        decoded.clear()
        (folder / "china0.png").rename(folder / "zebra.png")
        again = load_photographs(str(folder), 100, 20, 4, tmp_path / "cache")
        assert decoded == []
        assert plain.digest == first.digest == again.digest
        assert (again.train == plain.train).all()
        assert (again.select == plain.select).all()
        assert again.unreadable == ("broken.jpg",)
        assert again.used == 6
        assert {content_of(p) for p in again.report} == {content_of(p) for p in first.report}
        assert all(path.is_file() for path in again.report)

    def test_other_photographs_crops_or_code_are_prepared(
        self, folder: Path, tmp_path: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def prepared(train: int = 20, select: int = 4) -> bool:
            decoded.clear()
            load_photographs(str(folder), 100, train, select, tmp_path / "cache")
            return bool(decoded)

        assert prepared()
        assert prepared(train=21)
        assert prepared(select=5)
        assert not prepared()
        Image.new("RGB", (300, 300)).save(folder / "new.png")
        assert prepared()
        assert not prepared()
        (tmp_path / "module.py").write_text("changed")
        monkeypatch.setattr(module, "__file__", str(tmp_path / "module.py"))
        assert prepared()

    def test_a_folder_without_enough_photographs_leaves_no_entry(self, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        Image.new("RGB", (300, 300)).save(tmp_path / "photos/a.png")
        for _ in range(2):
            with pytest.raises(DataError, match="1 usable"):
                load_photographs(str(tmp_path / "photos"), 100, 4, 1, tmp_path / "cache")
        assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def lies_in(crop: np.ndarray, image: np.ndarray) -> bool:
    """Whether a crop [3, CROP, CROP] is a part of an image [H, W, 3]."""
    wanted = crop.transpose(1, 2, 0)
    corners = image[: len(image) - CROP + 1, : image.shape[1] - CROP + 1]
    return any(
        (image[y : y + CROP, x : x + CROP] == wanted).all()
        for y, x in np.argwhere((corners == wanted[0, 0]).all(-1))
    )


def test_crops_are_cut_from_the_photographs(photographs: Path) -> None:
    crop = load_photographs(str(photographs), 100, 4, 1).select[0]
    images = (np.asarray(Image.open(path)) for path in find_photographs(str(photographs)))
    assert any(lies_in(crop, image) for image in images)


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


def test_notices_say_what_is_skipped_and_converted(photographs: Path, tmp_path: Path) -> None:
    shutil.copytree(photographs, tmp_path, dirs_exist_ok=True)
    image = Image.open(photographs / "china0.png")
    for n in range(4):
        image.putalpha(n)
        image.save(tmp_path / f"seen_through{n}.png")
    (tmp_path / "broken.jpg").write_bytes(b"not a photograph")
    Image.new("RGB", (300, 100)).save(tmp_path / "small.png")
    Image.new("RGB", (300, 300), (9, 99, 199)).save(tmp_path / "p3.png", icc_profile=display_p3())
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        loaded = load_photographs(str(tmp_path), 100, 4, 1, cache)
        assert loaded.notices == [
            "Skipped 1 unreadable: broken.jpg",
            "Skipped 4 transparent: seen_through0.png, seen_through1.png, seen_through2.png ...",
            "Skipped 1 too small: small.png",
            "Photographs converted to sRGB: 1. Colours outside sRGB were clipped.",
        ]


def test_nothing_to_notice(photographs: Path) -> None:
    assert load_photographs(str(photographs), 100, 4, 1).notices == []


def test_files_of_every_kind(photographs: Path, tmp_path: Path) -> None:
    """Read alike with and without cache; what cannot be is counted, however often it occurs."""
    folder = tmp_path / "photos"
    shutil.copytree(photographs, folder)
    (folder / "a/b").mkdir(parents=True)
    image = Image.open(photographs / "china0.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "a/phone.HEIC")
    image.save(folder / "a/b/small.avif")
    image.save(folder / "turned.jpg", exif=exif)
    wide = np.asarray(image.convert("L")).astype(np.uint16) << 8
    Image.fromarray(wide).save(folder / "sixteen.png")
    Image.fromarray(wide).save(folder / "sixteen.tif")
    image.convert("RGBA").save(folder / "opaque.png")
    seen_through = image.convert("RGBA")
    seen_through.putalpha(128)
    seen_through.save(folder / "a/transparent.png")
    for name in ("empty.jpg", "empty.webp"):
        (folder / name).touch()
    if Path("/proc/self/mem").exists():
        # Opens, and fails when read.
        (folder / "mem.jpg").symlink_to("/proc/self/mem")
    plain = load_photographs(str(folder), 100, 20, 4)
    assert plain.used == 6 + 6
    named = {path.name for path in folder.iterdir() if path.name == "mem.jpg"}
    assert sorted(plain.unreadable) == sorted({"empty.jpg", "empty.webp"} | named)
    assert plain.transparent == ("transparent.png",)
    for _ in range(2):
        assert load_photographs(str(folder), 100, 20, 4, tmp_path / "cache").digest == plain.digest


def test_orientation_is_respected(tmp_path: Path) -> None:
    image = Image.effect_noise((300, 500), 50).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert _decode(tmp_path / "turned.jpg").pixels.shape == (300, 500, 3)


@pytest.mark.parametrize(("suffix", "side"), [("jpg", 600), ("png", 1200), ("tif", 1200)])
def test_large_lossy_photographs_are_halved(suffix: str, side: int, tmp_path: Path) -> None:
    path = tmp_path / f"large.{suffix}"
    Image.effect_noise((1200, 1200), 50).convert("RGB").save(path)
    assert _decode(path).pixels.shape == (side, side, 3)


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


class TestWithoutAFolder:
    """The built-in photographs are trained on, and shipped crops of others selected by."""

    def test_all_built_in_photographs_are_trained_on(self) -> None:
        loaded = load_photographs(None, 100, train_crops=14, select_crops=24)
        for path in find_photographs(None):
            pixels = _decode(path).pixels
            assert sum(lies_in(crop, pixels) for crop in loaded.train) == 2
        assert len(blocks(loaded.select)) == 24
        # Shown in the report: shipped crops as well, and none that is selected by.
        shown = [read_rgb(path).pixels.transpose(2, 0, 1) for path in loaded.report]
        assert len(shown) == 3
        assert not any((crop == other).all() for crop in shown for other in loaded.select)
        assert loaded.used == 7 + 12
        assert loaded.description == (
            "7 photographs for training and 24 held-out crops of 12 CC0 photographs for measuring"
        )

    def test_more_crops_are_the_same_and_others(self, tmp_path: Path) -> None:
        few, many = (load_photographs(None, 100, 7, n, tmp_path) for n in (5, 1000))
        assert (many.select[:5] == few.select).all()
        assert len(blocks(many.select)) == len(many.select) == 48
        assert (few.held_out, many.held_out) == (5, 12)
        assert few.digest != many.digest
        assert load_photographs(None, 100, 7, 5, tmp_path).digest == few.digest

    def test_other_shipped_crops_are_prepared(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = load_photographs(None, 100, 7, 1, tmp_path / "cache")
        monkeypatch.setattr(shipped_crops, "CROPS_FOLDER", tmp_path)
        Image.new("RGB", (CROP, CROP)).save(tmp_path / "00-black-0x0.webp", lossless=True)
        after = load_photographs(None, 100, 7, 1, tmp_path / "cache")
        assert before.digest != after.digest
        assert not after.select.any()

    def test_a_folder_is_measured_on_its_own_photographs(self, photographs: Path) -> None:
        loaded = load_photographs(str(photographs), 100, 4, 2)
        assert loaded.description == "6 photographs"
        assert not blocks(loaded.select) & blocks(load_photographs(None, 100, 4, 48).select)
