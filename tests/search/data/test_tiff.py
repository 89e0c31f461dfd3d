import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from made_images import LONG, RATIONAL, SHORT, directory, in_srgb, p3_in_srgb, short, tiff_file
from PIL import Image

from search.data.images import ImageError, TransparentError, read_rgb

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 13, 19
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK = 0, 1, 2, 3, 5
YY, XX = np.mgrid[:HEIGHT, :WIDTH]
RAMP = np.stack([XX * 13, YY * 19, 255 - XX * 13], axis=-1).astype(np.uint8)


def read(data: bytes, folder: Path) -> np.ndarray:
    (folder / "a.tif").write_bytes(data)
    return read_rgb(folder / "a.tif").pixels


def written(samples: np.ndarray, **options: object) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def drawn(bits: int, channels: int) -> np.ndarray:
    samples = RNG.integers(0, 2**bits, (HEIGHT, WIDTH, channels))
    samples[0, 0], samples[0, 1] = 0, 2**bits - 1
    return samples


def levels(samples: np.ndarray, bits: int) -> np.ndarray:
    """Levels of 8 bits: fewer bits are scaled, of more bits the high ones are kept."""
    return samples >> (bits - 8) if bits > 8 else np.rint(samples * (255 / (2**bits - 1)))


class TestDepthAndPolarity:
    """Samples are scaled by the file's own bits, and inverted where it says so."""

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10, 12, 14, 16])
    @pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO, RGB])
    def test_unsigned_samples(
        self, photometric: int, bits: int, order: str, tmp_path: Path
    ) -> None:
        samples = drawn(bits, 3 if photometric == RGB else 1)
        shown = 2**bits - 1 - samples if photometric == WHITE_IS_ZERO else samples
        pixels = read(tiff_file(samples, bits, photometric, order), tmp_path)
        assert (pixels == np.broadcast_to(levels(shown, bits), (HEIGHT, WIDTH, 3))).all()

    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_floating_point_is_refused_by_name(
        self, kind: type, channels: int, tmp_path: Path
    ) -> None:
        photometric = "rgb" if channels == 3 else "minisblack"
        samples = RNG.random((HEIGHT, WIDTH, channels)).astype(kind)
        bits, name = 8 * samples.itemsize, "colour" if channels == 3 else "greyscale"
        with pytest.raises(ImageError, match=rf"is {bits}-bit {name}; .* from floating point"):
            read(written(samples, photometric=photometric), tmp_path)

    @pytest.mark.parametrize(
        ("kind", "says"),
        [
            (np.uint32, "is 32-bit greyscale; convert it to 8 or 16 bits"),
            (np.uint64, "is 64-bit greyscale"),
            (np.int8, "has signed samples"),
            (np.int16, "has signed samples"),
            (np.complex64, "from floating point"),
        ],
    )
    def test_other_samples_are_refused_by_name(self, kind: type, says: str, tmp_path: Path) -> None:
        samples = RAMP[..., 0].astype(kind)
        with pytest.raises(ImageError, match=says):
            read(written(samples, photometric="minisblack"), tmp_path)

    def test_channels_of_different_depth_are_refused(self, tmp_path: Path) -> None:
        extra = [(258, SHORT, 3, short("<", 5, 6, 5))]
        with pytest.raises(ImageError, match=r"channels of \(5, 6, 5\) bits"):
            read(tiff_file(drawn(8, 3), 8, RGB, extra=extra), tmp_path)


class TestLayouts:
    """The same picture, stored in other ways."""

    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    @pytest.mark.parametrize(
        "options",
        [
            {"planarconfig": "separate"},
            {"tile": (16, 16)},
            {"tile": (16, 16), "planarconfig": "separate", "compression": "lzw"},
            {"rowsperstrip": 3, "compression": "lzw", "predictor": True},
            {"compression": "deflate", "predictor": True},
            {"compression": "packbits"},
            {"compression": "zstd"},
            {"compression": "lzma"},
            {"bigtiff": True},
        ],
        ids=str,
    )
    def test_lossless(
        self, options: dict[str, object], byteorder: str, bits: int, tmp_path: Path
    ) -> None:
        samples = RAMP.astype(np.uint16) * 257 if bits == 16 else RAMP
        if options.get("planarconfig") == "separate":
            samples = samples.transpose(2, 0, 1)
        data = written(samples, photometric="rgb", byteorder=byteorder, **options)
        assert (read(data, tmp_path) == RAMP).all()

    @pytest.mark.parametrize("mode", ["RGB", "YCbCr"])
    def test_jpeg(self, mode: str, tmp_path: Path) -> None:
        image = Image.fromarray(RAMP.repeat(4, 0).repeat(4, 1))
        image.convert(mode).save(tmp_path / "a.tif", compression="jpeg", quality=95)
        pixels = read_rgb(tmp_path / "a.tif").pixels
        assert np.abs(pixels.astype(int) - np.asarray(image)).mean() < 4

    def test_of_several_pages_the_first_is_read(self, tmp_path: Path) -> None:
        file = BytesIO()
        with tifffile.TiffWriter(file) as writer:
            writer.write(RAMP, photometric="rgb")
            writer.write(255 - RAMP[:5], photometric="rgb")
        assert (read(file.getvalue(), tmp_path) == RAMP).all()

    @pytest.mark.parametrize("bits", [1, 2, 4, 8])
    @pytest.mark.parametrize("depth", [8, 16])
    def test_palettes(self, bits: int, depth: int, tmp_path: Path) -> None:
        """Some writers give the colours 8 bits where TIFF asks for 16."""
        palette = RNG.integers(0, 256, (2**bits, 3))
        entries = (palette * (257 if depth == 16 else 1)).T.ravel()
        indices = drawn(bits, 1)
        extra = [(320, SHORT, len(entries), short("<", *entries))]
        pixels = read(tiff_file(indices, bits, PALETTE, extra=extra), tmp_path)
        assert (pixels == palette[indices[..., 0]]).all()

    @pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_fax(self, compression: str, orientation: int, tmp_path: Path) -> None:
        """Turned upright once, though libtiff mirrors by itself."""
        image = Image.fromarray(RAMP[..., 1]).convert("1")
        image.save(tmp_path / "f.tif", compression=compression, tiffinfo={274: orientation})
        image.save(tmp_path / "p.tif", tiffinfo={274: orientation})
        assert (read_rgb(tmp_path / "f.tif").pixels == read_rgb(tmp_path / "p.tif").pixels).all()

    def test_brightness_and_halved_colours(self, tmp_path: Path) -> None:
        """Uncompressed YCbCr of 4:2:0, as scanners write it."""
        grey = RAMP[:12, :18, 0]
        blocks = grey.reshape(6, 2, 9, 2).transpose(0, 2, 1, 3).reshape(6, 9, 4)
        units = np.concatenate([blocks, np.full((6, 9, 2), 128, np.uint8)], axis=-1)
        extra = [
            (530, SHORT, 2, short("<", 2, 2)),
            (258, SHORT, 3, short("<", 8, 8, 8)),
            (277, SHORT, 1, short("<", 3)),
            (256, LONG, 1, struct.pack("<L", 18)),
            (257, LONG, 1, struct.pack("<L", 12)),
            (278, LONG, 1, struct.pack("<L", 12)),
        ]
        pixels = read(tiff_file(units, 8, 6, extra=extra), tmp_path)
        assert np.abs(pixels.astype(int) - grey[..., None]).max() <= 1

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_orientation(self, orientation: int, order: str, tmp_path: Path) -> None:
        turned = [
            RAMP,
            RAMP[:, ::-1],
            RAMP[::-1, ::-1],
            RAMP[::-1],
            RAMP.transpose(1, 0, 2),
            np.rot90(RAMP, -1),
            RAMP[::-1, ::-1].transpose(1, 0, 2),
            np.rot90(RAMP),
        ]
        extra = [(274, SHORT, 1, short(order, orientation))]
        data = tiff_file(RAMP, 8, RGB, order, extra)
        assert (read(data, tmp_path) == turned[orientation - 1]).all()


class TestColours:
    """Other kinds of samples than brightness and RGB."""

    @pytest.mark.parametrize("bits", [8, 16])
    def test_cmyk(self, bits: int, tmp_path: Path) -> None:
        inks = np.concatenate([255 - RAMP, np.zeros((HEIGHT, WIDTH, 1), np.uint8)], axis=-1)
        data = tiff_file(inks.astype(int) * (257 if bits == 16 else 1), bits, CMYK)
        assert np.abs(read(data, tmp_path).astype(int) - RAMP).max() <= 1

    def test_other_inks_are_refused(self, tmp_path: Path) -> None:
        extra = [(332, SHORT, 1, short("<", 2))]
        with pytest.raises(ImageError, match="inks other than cyan"):
            read(tiff_file(drawn(8, 4), 8, CMYK, extra=extra), tmp_path)

    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("photometric", [8, 9])
    def test_lab(self, photometric: int, bits: int, tmp_path: Path) -> None:
        """CIELab has signed a* and b*, ICCLab has them offset by half."""
        lab = np.array([[[50, 0, 0], [60, 30, 40], [45, -10, -20], [80, -15, 20]]], dtype=float)
        full = lab * (255 / 100, 1, 1)
        if photometric == 9:
            full += (0, 128, 128)
        scale = (257, 256, 256) if bits == 16 else 1
        stored = np.rint(full * scale).astype(int) % 2**bits
        pixels = read(tiff_file(stored, bits, photometric), tmp_path)
        assert np.abs(pixels - lab_in_srgb(lab)).max() <= 4

    @pytest.mark.parametrize(
        ("photometric", "name"),
        [(4, "MASK"), (10, "ITULAB"), (32803, "CFA"), (32844, "LOGL"), (34892, "LINEAR_RAW")],
    )
    def test_kinds_that_are_not_read(self, photometric: int, name: str, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=rf"samples of the kind {name}, which is not read"):
            read(tiff_file(drawn(8, 3), 8, photometric), tmp_path)

    def test_primaries(self, tmp_path: Path) -> None:
        """Those of Display P3 in the tags for chromaticities."""
        numbers = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
        extra = [
            (318, RATIONAL, 2, ratios(0.3127, 0.3290)),
            (319, RATIONAL, 6, ratios(*numbers)),
        ]
        red = np.zeros((4, 4, 3), np.uint8) + np.array([200, 100, 50], np.uint8)
        pixels = read(tiff_file(red, 8, RGB, extra=extra), tmp_path)
        assert np.abs(pixels - p3_in_srgb(red)).max() <= 1

    def test_a_transfer_function(self, tmp_path: Path) -> None:
        """Linear light: level 55 of 255 is level 128 of sRGB."""
        extra = [(301, SHORT, 256, short("<", *range(0, 65536, 257)))]
        grey = np.full((4, 4, 3), 55, np.uint8)
        pixels = read(tiff_file(grey, 8, RGB, extra=extra), tmp_path)
        assert np.abs(pixels.astype(int) - 128).max() <= 1


def ratios(*numbers: float) -> bytes:
    return b"".join(struct.pack("<LL", round(number * 10_000), 10_000) for number in numbers)


def lab_in_srgb(lab: np.ndarray) -> np.ndarray:
    """sRGB of CIE L*a*b* relative to D50, by the formulas of CIE 15 and a Bradford adaptation."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.9642, 1.0, 0.8249)
    to_srgb = np.array(
        [
            [3.1338561, -1.6168667, -0.4906146],
            [-0.9787684, 1.9161415, 0.0334540],
            [0.0719453, -0.2289914, 1.4052427],
        ]
    )
    return in_srgb(xyz @ to_srgb.T)


class TestFurtherSamples:
    """Alpha counts if the file says that it is alpha; other further samples are left out."""

    @pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, RGB])
    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("meaning", [None, 0, 1, 2])
    def test_transparent_and_opaque(
        self, meaning: int | None, bits: int, photometric: int, tmp_path: Path
    ) -> None:
        channels = 3 if photometric == RGB else 1
        samples = drawn(bits, channels + 1)
        samples[..., -1] = 2**bits - 1
        extra = [] if meaning is None else [(338, SHORT, 1, short("<", meaning))]
        shown = np.broadcast_to(levels(samples[..., :-1], bits), (HEIGHT, WIDTH, 3))
        assert (read(tiff_file(samples, bits, photometric, extra=extra), tmp_path) == shown).all()
        samples[3, 3, -1] -= 1
        data = tiff_file(samples, bits, photometric, extra=extra)
        if meaning in (1, 2):
            with pytest.raises(TransparentError, match=r"a\.tif: has transparent pixels"):
                read(data, tmp_path)
        else:
            assert (read(data, tmp_path) == shown).all()


class TestDamage:
    """Missing parts of a file are not read as black, and odd tags are no damage."""

    @pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd"])
    @pytest.mark.parametrize("rows", [3, HEIGHT])
    def test_truncated_files(self, compression: str | None, rows: int, tmp_path: Path) -> None:
        noise = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        data = written(noise, photometric="rgb", compression=compression, rowsperstrip=rows)
        with pytest.raises(ImageError, match=r"perhaps damaged or truncated \(.+\)$"):
            read(data[:-200], tmp_path)

    def test_missing_strips(self, tmp_path: Path) -> None:
        rows = [(278, LONG, 1, struct.pack("<L", 4))]
        data = tiff_file(drawn(4, 1), 4, BLACK_IS_ZERO, extra=rows)
        with pytest.raises(ImageError, match="perhaps damaged or truncated"):
            read(data, tmp_path)

    def test_odd_tags(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        extra = [
            (271, 2, 4000, struct.pack("<L", 10**9)),
            (282, 10, 1, struct.pack("<ll", -1, 0)),
            (283, 2, 5, b"text\0"),
            (274, 2, 2, b"6\0"),
            (700, 2, 5, b"text\0"),
            (34675, 7, 12, b"no profile\0\0"),
            (34665, LONG, 1, struct.pack("<L", 10**9)),
            (65000, 99, 1, bytes(4)),
            (301, SHORT, 1, short("<", 7)),
            (318, 2, 5, b"text\0"),
            (319, SHORT, 1, short("<", 7)),
        ]
        assert (read(tiff_file(RAMP, 8, RGB, extra=extra), tmp_path) == RAMP).all()
        assert capfd.readouterr() == ("", "")

    def test_a_directory_after_the_end(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError):
            read(b"II*\0" + struct.pack("<L", 10**6) + directory("<", [], 8), tmp_path)
