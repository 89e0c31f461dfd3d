"""The commands `encode` and `decode`, as a user meets them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from latency_predictor.checksum import SUMS, check_listed
from search.__main__ import main
from search.cli.models import SHIPPED_MODEL
from search.data.colours import of_code_points
from search.data.images import read_rgb
from space.bitstream.model_file import Model

PHOTO = Image.fromarray(np.array(load_sample_image("china.jpg"))).resize((900, 600))
DISPLAY_P3 = of_code_points(12, 13).profile  # type: ignore[union-attr]
SIZES = [(1, 1), (7, 600), (600, 520)]
"""Widths and heights: one pixel, a strip, and 2x2 tiles."""


def encode(image: Path, out: Path, model: Path, quality: float) -> int:
    return main(["encode", str(image), str(out), "--model", str(model), "--quality", str(quality)])


def decode(file: Path, out: Path, model: Path) -> int:
    return main(["decode", str(file), str(out), "--model", str(model)])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    error = np.square(a.astype(float) - b).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


class TestCoding:
    @pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "heic"])
    @pytest.mark.parametrize("size", SIZES, ids=lambda size: "{}x{}".format(*size))
    def test_images_of_every_format_and_size(
        self,
        size: tuple[int, int],
        suffix: str,
        made: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        image, coded, out = (tmp_path / name for name in (f"a.{suffix}", "a", "out.png"))
        PHOTO.crop((100, 60, 100 + size[0], 60 + size[1])).save(image, quality=95)
        assert encode(image, coded, made / "model", 5) == 0
        assert decode(coded, out, made / "model") == 0
        width, height = size
        decoded = Image.open(out)
        assert (decoded.format, decoded.mode, decoded.size) == ("PNG", "RGB", size)
        assert psnr(np.asarray(decoded), read_rgb(image).pixels) >= 27
        written = coded.stat().st_size
        printed = capsys.readouterr()
        assert f"{coded}: {width}x{height}, {written:,} bytes, " in printed.out
        assert f"{8 * written / (width * height):.3f} bpp" in printed.out
        assert f"{out}: {width}x{height}\n" in printed.out
        assert printed.err == ""

    def test_a_higher_quality_is_better_and_larger(self, made: Path, tmp_path: Path) -> None:
        original = read_rgb(made / "photo.png").pixels
        sizes, scores = [], []
        for quality in (0, 1.5, 3, 5, 7):
            assert encode(made / "photo.png", tmp_path / "a", made / "model", quality) == 0
            assert decode(tmp_path / "a", tmp_path / "a.png", made / "model") == 0
            sizes.append((tmp_path / "a").stat().st_size)
            scores.append(psnr(read_rgb(tmp_path / "a.png").pixels, original))
        assert (np.diff(sizes) > 0).all()
        assert (np.diff(scores) > 0).all()

    def test_transparency_that_hides_nothing(self, made: Path, tmp_path: Path) -> None:
        Image.open(made / "photo.png").convert("RGBA").save(tmp_path / "a.png")
        assert encode(tmp_path / "a.png", tmp_path / "a", made / "model", 5) == 0
        assert (tmp_path / "a").read_bytes() == (made / "coded").read_bytes()

    def test_colours_that_are_converted(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An AVIF whose code points are those of Display P3."""
        image = tmp_path / "a.avif"
        Image.open(made / "photo.png").save(image)
        srgb, p3 = (b"colrnclx\0%c\0\x0d" % primaries for primaries in (1, 12))
        image.write_bytes(image.read_bytes().replace(srgb, p3))
        assert encode(image, tmp_path / "a", made / "model", 5) == 0
        said = capsys.readouterr().out
        assert said.endswith(f"{image}: converted from Display P3 to sRGB\n")

    def test_older_files_are_replaced(self, made: Path, tmp_path: Path) -> None:
        PHOTO.crop((0, 0, 40, 30)).save(tmp_path / "small.png")
        for photo, quality in ((tmp_path / "small.png", 0), (made / "photo.png", 5)):
            assert encode(photo, tmp_path / "a", made / "model", quality) == 0
            assert decode(tmp_path / "a", tmp_path / "a.png", made / "model") == 0
        assert (tmp_path / "a").read_bytes() == (made / "coded").read_bytes()
        assert read_rgb(tmp_path / "a.png").pixels.shape == (240, 320, 3)
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == ["a", "a.png", "small.png"]

    def test_another_process_with_other_threads_decodes(self, made: Path, tmp_path: Path) -> None:
        here, there, coded, image = (
            tmp_path / name for name in ("here.png", "there.png", "a", "b.png")
        )
        PHOTO.crop((0, 0, 600, 520)).save(image)
        assert encode(image, coded, made / "model", 4.25) == 0
        assert decode(coded, here, made / "model") == 0
        said = in_another_process(tmp_path, "decode", coded, there, "--model", made / "model")
        assert said == f"{there}: 600x520\n"
        a, b = (read_rgb(path).pixels for path in (here, there))
        assert np.array_equal(a, b)


def in_another_process(folder: Path, *words: object) -> str:
    """Standard output of a command with one thread, which must succeed and say no more."""
    done = subprocess.run(
        [sys.executable, "-m", "search", *map(str, words), "--threads", "1"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class TestSpeed:
    def test_slow_packages_are_not_imported(self, made: Path, tmp_path: Path) -> None:
        program = (
            "import sys; from search.__main__ import main; code = main(sys.argv[1:]); "
            "slow = 'torch compressai pandas ray optuna matplotlib sklearn scipy hydra'; "
            "assert not set(slow.split()) & set(sys.modules); sys.exit(code)"
        )
        coded, out = tmp_path / "a", tmp_path / "a.png"
        for words in (
            ["encode", made / "photo.png", coded, "--model", made / "model"],
            ["decode", coded, out, "--model", made / "model"],
            ["identify", coded],
            ["identify", made / "model"],
        ):
            call = [sys.executable, "-c", program, *map(str, words)]
            done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)
            assert (done.returncode, done.stderr) == (0, "")

    def test_threads_change_no_bit(self, made: Path, tmp_path: Path) -> None:
        PHOTO.crop((0, 0, 600, 520)).save(tmp_path / "b.png")
        files, pictures = set(), set()
        for threads in (1, 3):
            words = ["--threads", str(threads), "--model", str(made / "model")]
            coded, out = tmp_path / f"{threads}", tmp_path / f"{threads}.png"
            assert main(["encode", str(tmp_path / "b.png"), str(coded), *words]) == 0
            assert main(["decode", str(coded), str(out), *words]) == 0
            files.add(coded.read_bytes())
            pictures.add(out.read_bytes())
        assert len(files) == len(pictures) == 1


class TestSeveralFiles:
    @pytest.fixture
    def photos(self, tmp_path: Path) -> list[Path]:
        paths = [tmp_path / name for name in ("a.png", "b.jpg", "c d.heic")]
        for path in paths:
            PHOTO.crop((0, 0, 80, 60)).save(path)
        return paths

    def test_they_keep_their_names(
        self, photos: list[Path], made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model = ["--model", str(made / "model"), "--output"]
        coded, decoded = tmp_path / "new" / "coded", tmp_path / "decoded"
        assert main(["encode", *map(str, photos), *model, str(coded)]) == 0
        names = [f"{photo.stem}.pcd" for photo in photos]
        assert sorted(path.name for path in coded.iterdir()) == names
        assert main(["decode", *map(str, coded.iterdir()), *model, str(decoded)]) == 0
        for photo in photos:
            picture = read_rgb(decoded / f"{photo.stem}.png").pixels
            assert psnr(picture, read_rgb(photo).pixels) > 20
        printed = capsys.readouterr()
        assert len(printed.out.splitlines()) == 6
        assert printed.err == ""
        # The same command replaces its own files.
        assert main(["encode", *map(str, photos), *model, str(coded)]) == 0

    def test_one_that_cannot_be_read_does_not_stop_the_others(
        self, photos: list[Path], made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = tmp_path / "b.txt"
        text.write_text("no photograph")
        words = [*map(str, [photos[0], text, photos[2]]), "--model", str(made / "model")]
        assert main(["encode", *words, "--output", str(tmp_path / "out")]) == 2
        names = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert names == ["a.pcd", "c d.pcd"]
        lines = capsys.readouterr().err.splitlines()
        assert lines[0].startswith(f"{text}: not a readable image; expected PNG")
        assert lines[1:] == ["1 of 3 files were not encoded"]

    def test_files_of_another_kind_are_not_replaced(
        self, photos: list[Path], made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "b.pcd").write_text("mine")
        words = [*map(str, photos), "--model", str(made / "model"), "--output"]
        assert main(["encode", *words, str(tmp_path / "out")]) == 2
        assert "b.pcd: exists and is no file of encode" in capsys.readouterr().err
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.pcd"]
        assert main(["encode", *words, str(tmp_path / "out"), "--force"]) == 0


class TestMetadata:
    """EXIF and the profile are kept on request alone."""

    @pytest.fixture
    def photo(self, tmp_path: Path) -> Path:
        """A photograph that is turned, was taken somewhere, and has colours of Display P3."""
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "A camera"
        exif.get_ifd(0x8825)[1] = "N"
        path = tmp_path / "p.jpg"
        PHOTO.crop((0, 0, 90, 60)).save(path, exif=exif, icc_profile=DISPLAY_P3, quality=95)
        return path

    def coded(self, photo: Path, made: Path, *options: str) -> Image.Image:
        model = ["--model", str(made / "model")]
        words = [str(photo), str(photo.with_name("p.pcd")), "--quality", "5", *options]
        assert main(["encode", *words, *model]) == 0
        words = [str(photo.with_name(name)) for name in ("p.pcd", "p.png")]
        assert main(["decode", *words, *model]) == 0
        return Image.open(photo.with_name("p.png"))

    def test_without_the_option_there_are_none(self, photo: Path, made: Path) -> None:
        picture = self.coded(photo, made)
        assert not picture.getexif()
        assert "icc_profile" not in picture.info
        assert photo.with_name("p.pcd").read_bytes()[4] == 1

    def test_they_are_kept(
        self, photo: Path, made: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        plain = self.coded(photo, made)
        size = photo.with_name("p.pcd").stat().st_size
        picture = self.coded(photo, made, "--keep-metadata")
        exif = picture.getexif()
        assert (exif[0x0112], exif[0x010F], exif.get_ifd(0x8825)[1]) == (1, "A camera", "N")
        assert picture.info["icc_profile"] == DISPLAY_P3
        assert picture.size == plain.size == (60, 90)
        # The pixels are not converted, so that a viewer shows the colours of the photograph.
        shown, original = (read_rgb(path).pixels for path in (photo.with_name("p.png"), photo))
        assert psnr(shown, original) > 24
        assert photo.with_name("p.pcd").stat().st_size > size + len(DISPLAY_P3)
        said = capsys.readouterr().out
        kept = f" bytes with the position (GPS), ICC profile {len(DISPLAY_P3):,} bytes\n"
        assert "p.pcd: metadata kept: EXIF " in said
        assert kept in said
        assert main(["identify", str(photo.with_name("p.pcd"))]) == 0
        assert f"{kept}  model " in capsys.readouterr().out

    def test_a_picture_without_any(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = [str(made / "photo.png"), str(tmp_path / "a"), "--model", str(made / "model")]
        assert main(["encode", *words, "--quality", "5", "--keep-metadata"]) == 0
        assert (tmp_path / "a").read_bytes() == (made / "coded").read_bytes()
        assert "metadata kept: none was found\n" in capsys.readouterr().out

    def test_damaged_metadata_are_refused(
        self, photo: Path, made: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.coded(photo, made, "--keep-metadata")
        coded = photo.with_name("p.pcd")
        data = bytearray(coded.read_bytes())
        data[data.index(b"A camera")] ^= 1
        coded.write_bytes(data)
        model = ["--model", str(made / "model")]
        for words in (["identify", coded], ["decode", coded, photo.with_name("q.png"), *model]):
            assert main([*map(str, words)]) == 2
            assert capsys.readouterr().err == f"{coded}: damaged metadata\n"


class TestShippedModel:
    """Without `--model`, a photograph is coded at once."""

    def test_a_photograph_is_coded_and_identified(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        photo, coded, out = (tmp_path / name for name in ("photo.png", "photo.pcd", "out.png"))
        PHOTO.crop((300, 200, 492, 328)).save(photo)
        assert main(["encode", str(photo), str(coded)]) == 0
        assert main(["decode", str(coded), str(out)]) == 0
        assert psnr(read_rgb(out).pixels, read_rgb(photo).pixels) > 28
        bpp = 8 * coded.stat().st_size / (192 * 128)
        capsys.readouterr()
        assert main(["identify", str(coded)]) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"{coded}: compressed photograph\n  size      192x128, 1 tile")
        assert f"({bpp:.3f} bpp)" in said
        assert said.endswith(", the shipped model\n")

    def test_every_higher_quality_is_better(self, tmp_path: Path) -> None:
        photo, coded, out = (tmp_path / name for name in ("photo.png", "photo.pcd", "out.png"))
        PHOTO.crop((300, 200, 428, 328)).save(photo)
        scores = []
        for quality in (0, 3, 7):
            words = [str(photo), str(coded), "--quality", str(quality)]
            assert main(["encode", *words]) == 0
            assert main(["decode", str(coded), str(out)]) == 0
            scores.append(psnr(read_rgb(out).pixels, read_rgb(photo).pixels))
        assert (np.diff(scores) > 2).all()

    def test_its_file_is_small_and_whole(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert SHIPPED_MODEL.stat().st_size < 12e6
        check_listed(SHIPPED_MODEL, SHIPPED_MODEL.read_bytes())
        assert (SHIPPED_MODEL.parent / SUMS).is_file()
        assert main(["identify", str(SHIPPED_MODEL)]) == 0
        assert f"  model     {Model.load(SHIPPED_MODEL).id.hex()}" in capsys.readouterr().out


class TestIdentify:
    def test_a_file_of_another_model(self, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["identify", str(made / "coded")]) == 0
        said = capsys.readouterr().out
        assert f"{Model.load(made / 'model').id.hex()}, no model that is shipped" in said

    def test_the_folder_of_a_model(
        self, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "model.safetensors").write_bytes((made / "model").read_bytes())
        assert main(["identify", str(tmp_path)]) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"{tmp_path / 'model.safetensors'}: model\n")

    def test_other_files(self, refused: Callable[..., str]) -> None:
        said = refused("identify", "photo.png")
        assert "photo.png: expected a file that encode, train or promote wrote" in said
        assert "No such file or directory" in refused("identify", "none")
        assert "model.safetensors: no such model" in refused("identify", ".")
