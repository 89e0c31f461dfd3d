"""Colours that a file declares: what is converted, what is left alone, and what is refused."""

import struct
from pathlib import Path
from zlib import compress

import numpy as np
import pytest
from made_images import (
    ASCII,
    LONG,
    SHORT,
    chunk,
    coded,
    display_p3,
    exif_block,
    in_linear_light,
    in_srgb,
    p3_in_srgb,
    png_with,
    short,
    with_cicp,
    with_code_points,
)
from PIL import Image

from search.data.images import Decoded, ImageError, read_rgb

COLOURS = np.array([[[200, 100, 50], [60, 180, 70], [90, 100, 190], [0, 255, 0]]], dtype=np.uint8)
PATCHES = COLOURS.repeat(32, axis=0).repeat(32, axis=1)
WITH_CODES = ("png", "heic", "avif")
SUFFIXES = ("png", "jpg", "webp", "tif", "heic", "avif")
TOLERANCE = {"png": 1.0, "tif": 1.0, "jpg": 3.0, "webp": 3.0, "heic": 3.0, "avif": 3.0}
"""Greatest mean difference per colour, in levels."""
BT2020_TO_SRGB = np.array(
    [
        [1.660491, -0.587641, -0.072850],
        [-0.124551, 1.132900, -0.008349],
        [-0.018151, -0.100579, 1.118730],
    ]
)
"""Linear BT.2020 to linear BT.709 (ITU-R BT.2087, and its inverse)."""
ADOBE_TO_SRGB = np.array([[1.398284, -0.398284, 0.0], [0.0, 1.0, 0.0], [0.0, -0.042938, 1.042938]])
"""Linear Adobe RGB to linear sRGB (Adobe RGB (1998), 4.3.6.1)."""


def read(data: bytes, suffix: str, folder: Path) -> Decoded:
    (folder / f"a.{suffix}").write_bytes(data)
    return read_rgb(folder / f"a.{suffix}")


def with_codes(suffix: str, primaries: int, transfer: int, pixels: np.ndarray = PATCHES) -> bytes:
    """An image file whose colours are given by code points."""
    if suffix == "png":
        return png_with(pixels, chunk(b"cICP", bytes((primaries, transfer, 0, 1))))
    if suffix == "heic":
        options = {"color_primaries": 1, "transfer_characteristics": 13, "chroma": 444}
        return with_code_points(coded(pixels, "HEIF", **options), primaries, transfer)
    return with_code_points(coded(pixels, "AVIF", subsampling="4:4:4"), primaries, transfer)


def patches(decoded: Decoded) -> np.ndarray:
    """Mean [1, colours, 3] of each patch."""
    assert decoded.pixels.shape == PATCHES.shape
    inner = decoded.pixels.reshape(32, -1, 32, 3)[8:24, :, 8:24].astype(float)
    return inner.mean(axis=(0, 2))[None]


def bt2020_in_srgb(linear: np.ndarray) -> np.ndarray:
    return in_srgb(linear @ BT2020_TO_SRGB.T)


def inverse_of_camera(pixels: np.ndarray) -> np.ndarray:
    """Linear light by the inverse of the opto-electronic transfer of BT.709 and BT.2020."""
    x = pixels / 255
    return np.where(x < 0.081, x / 4.5, ((x + 0.099) / 1.099) ** (1 / 0.45))


class TestCodePoints:
    """PNG (cICP), HEIC and AVIF (nclx) follow one rule."""

    @pytest.mark.parametrize("suffix", WITH_CODES)
    @pytest.mark.parametrize(
        ("primaries", "transfer", "expected", "name"),
        [
            (12, 13, p3_in_srgb(COLOURS), "Display P3"),
            (9, 13, bt2020_in_srgb(in_linear_light(COLOURS)), "BT.2020"),
            (9, 14, bt2020_in_srgb(inverse_of_camera(COLOURS)), "BT.2020"),
            (9, 15, bt2020_in_srgb(inverse_of_camera(COLOURS)), "BT.2020"),
            (9, 1, bt2020_in_srgb(inverse_of_camera(COLOURS)), "BT.2020"),
            (9, 8, bt2020_in_srgb(COLOURS / 255), "BT.2020"),
            (1, 8, in_srgb(COLOURS / 255), "BT.709"),
            (1, 4, in_srgb((COLOURS / 255) ** 2.2), "BT.709"),
        ],
    )
    def test_wide_gamuts_are_converted_and_clipped(
        self,
        suffix: str,
        primaries: int,
        transfer: int,
        expected: np.ndarray,
        name: str,
        tmp_path: Path,
    ) -> None:
        decoded = read(with_codes(suffix, primaries, transfer), suffix, tmp_path)
        # In linear light, one level of a lossy format is many levels of sRGB in black.
        compared = slice(None) if suffix == "png" else slice(0, 3)
        assert np.abs(patches(decoded) - expected)[:, compared].max() < 2 * TOLERANCE[suffix]
        assert decoded.converted_from == name

    @pytest.mark.parametrize("suffix", WITH_CODES)
    @pytest.mark.parametrize(
        ("primaries", "transfer"), [(1, 13), (1, 1), (1, 6), (2, 2), (6, 6), (5, 1), (1, 2)]
    )
    def test_what_encoders_write_for_srgb_is_left_alone(
        self, suffix: str, primaries: int, transfer: int, tmp_path: Path
    ) -> None:
        decoded = read(with_codes(suffix, primaries, transfer), suffix, tmp_path)
        plain = read(with_codes(suffix, 1, 13), suffix, tmp_path)
        assert (decoded.pixels == plain.pixels).all()
        assert decoded.converted_from is None
        assert np.abs(patches(decoded) - COLOURS).max() < TOLERANCE[suffix]

    @pytest.mark.parametrize("suffix", WITH_CODES)
    @pytest.mark.parametrize("primaries", [1, 2, 9, 12])
    @pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
    def test_high_dynamic_range_is_refused(
        self, suffix: str, primaries: int, transfer: int, name: str, tmp_path: Path
    ) -> None:
        with pytest.raises(ImageError, match=rf"a\.{suffix}: has high dynamic range \({name}\)"):
            read(with_codes(suffix, primaries, transfer), suffix, tmp_path)

    @pytest.mark.parametrize("suffix", WITH_CODES)
    @pytest.mark.parametrize(("primaries", "transfer"), [(10, 13), (12, 17), (1, 9)])
    def test_other_codes_are_refused_by_name(
        self, suffix: str, primaries: int, transfer: int, tmp_path: Path
    ) -> None:
        with pytest.raises(ImageError, match=rf"by the codes {primaries} and {transfer} "):
            read(with_codes(suffix, primaries, transfer), suffix, tmp_path)

    def test_high_dynamic_range_beside_a_profile(self, tmp_path: Path) -> None:
        """The code points count as well, though libheif reports only the profile."""
        data = coded(PATCHES, "AVIF", icc_profile=display_p3())
        assert read(data, "avif", tmp_path).converted_from == "sRGB built-in"
        with pytest.raises(ImageError, match="has high dynamic range"):
            read(with_code_points(data, 9, 16), "avif", tmp_path)

    def test_greyscale(self, tmp_path: Path) -> None:
        """The white of Display P3 is that of sRGB, so that grey stays as it is."""
        grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
        data = png_with(grey, chunk(b"cICP", bytes((12, 13, 0, 1))))
        assert (read(data, "png", tmp_path).pixels == grey[..., None]).all()


class TestProfiles:
    """ICC profiles, which may themselves declare high dynamic range."""

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
    def test_high_dynamic_range_is_refused(
        self, suffix: str, transfer: int, name: str, tmp_path: Path
    ) -> None:
        profile = with_cicp(display_p3(), 9, transfer)
        Image.fromarray(PATCHES).save(tmp_path / f"a.{suffix}", icc_profile=profile)
        with pytest.raises(ImageError, match=rf"has high dynamic range \({name}\)"):
            read_rgb(tmp_path / f"a.{suffix}")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_other_code_points_in_a_profile_change_nothing(
        self, suffix: str, tmp_path: Path
    ) -> None:
        profile = with_cicp(display_p3(), 12, 13)
        Image.fromarray(PATCHES).save(tmp_path / f"a.{suffix}", icc_profile=profile, quality=95)
        decoded = read_rgb(tmp_path / f"a.{suffix}")
        assert np.abs(patches(decoded) - p3_in_srgb(COLOURS))[:, :3].max() < 4

    def test_long_profiles_in_a_jpeg(self, tmp_path: Path) -> None:
        profile = display_p3() + bytes(150_000)
        profile = struct.pack(">I", len(profile)) + profile[4:]
        decoded = read(coded(PATCHES, "JPEG", icc_profile=profile), "jpg", tmp_path)
        assert decoded.converted_from

    def test_a_profile_that_a_jpeg_has_twice(self, tmp_path: Path) -> None:
        data = coded(PATCHES, "JPEG", icc_profile=display_p3())
        at = data.index(b"\xff\xe2")
        segment = data[at : at + 2 + struct.unpack_from(">H", data, at + 2)[0]]
        assert read(data[:at] + segment + data[at:], "jpg", tmp_path).converted_from

    def test_long_profiles_in_a_png(self, tmp_path: Path) -> None:
        """Longer than Pillow allows."""
        profile = display_p3() + bytes(2_000_000)
        profile = struct.pack(">I", len(profile)) + profile[4:]
        data = png_with(PATCHES, chunk(b"iCCP", b"p3\0\0" + compress(profile)))
        assert read(data, "png", tmp_path).converted_from


class TestPngChunks:
    """The first of the chunks cICP, iCCP, sRGB, gAMA and cHRM declares the colours."""

    P3 = chunk(b"cICP", bytes((12, 13, 0, 1)))
    PROFILE = chunk(b"iCCP", b"p3\0\0" + compress(display_p3()))
    SRGB = chunk(b"sRGB", b"\0")
    CHROMATICITIES = chunk(
        b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    )

    @staticmethod
    def gamma(value: float) -> bytes:
        return chunk(b"gAMA", struct.pack(">I", round(100_000 * value)))

    @pytest.mark.parametrize(
        "chunks",
        [
            [P3],
            [PROFILE],
            [CHROMATICITIES],
            [P3, SRGB, gamma(1.0)],
            [chunk(b"cICP", bytes((2, 2, 0, 1))), PROFILE],
            [PROFILE, gamma(1.0)],
            [gamma(1 / 2.2), CHROMATICITIES],
        ],
    )
    def test_display_p3(self, chunks: list[bytes], tmp_path: Path) -> None:
        decoded = read(png_with(PATCHES, *chunks), "png", tmp_path)
        assert np.abs(patches(decoded) - p3_in_srgb(COLOURS)).max() < 2

    @pytest.mark.parametrize(
        "chunks",
        [
            [],
            [SRGB, CHROMATICITIES, gamma(1.0)],
            [chunk(b"cICP", bytes((1, 13, 0, 1))), PROFILE],
            [gamma(1 / 2.2)],
            [gamma(0)],
            [chunk(b"cHRM", bytes(32))],
            [chunk(b"cICP", bytes((9, 16, 0, 1)), whole=False)],
            [chunk(b"iCCP", b"p3\0\0damaged")],
        ],
    )
    def test_srgb(self, chunks: list[bytes], tmp_path: Path) -> None:
        decoded = read(png_with(PATCHES, *chunks), "png", tmp_path)
        assert (decoded.pixels == PATCHES).all()
        assert decoded.converted_from is None

    def test_linear_light(self, tmp_path: Path) -> None:
        decoded = read(png_with(PATCHES, self.gamma(1.0)), "png", tmp_path)
        assert np.abs(patches(decoded) - in_srgb(COLOURS / 255)).max() < 1

    def test_video_levels_are_refused(self, tmp_path: Path) -> None:
        data = png_with(PATCHES, chunk(b"cICP", bytes((1, 13, 0, 0))))
        with pytest.raises(ImageError, match="has video levels"):
            read(data, "png", tmp_path)


class TestExif:
    """Cameras that are set to Adobe RGB say so in EXIF alone."""

    @staticmethod
    def block(index: bytes, space: int = 0xFFFF) -> bytes:
        """EXIF with a colour space and an interoperability index."""
        # The main directory has one entry and ends at 26, the next has two and ends at 56.
        inner = exif_block([(1, ASCII, 4, index)])[8:]
        details = [(0xA001, SHORT, 1, short("<", space)), (0xA005, LONG, 1, struct.pack("<L", 56))]
        return (
            b"Exif\0\0"
            + exif_block([(0x8769, LONG, 1, struct.pack("<L", 26))])
            + exif_block(details)[8:]
            + inner
        )

    @pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
    @pytest.mark.parametrize(("index", "space"), [(b"R03\0", 0xFFFF), (b"R98\0", 2)])
    def test_adobe_rgb(self, suffix: str, index: bytes, space: int, tmp_path: Path) -> None:
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(PATCHES).save(path, exif=self.block(index, space), quality=95)
        expected = in_srgb((COLOURS / 255) ** (563 / 256) @ ADOBE_TO_SRGB.T)
        decoded = read_rgb(path)
        assert np.abs(patches(decoded) - expected)[:, :3].max() < 2 * TOLERANCE[suffix]
        assert decoded.converted_from == "Adobe RGB"

    @pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
    def test_srgb(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(PATCHES).save(path, exif=self.block(b"R98\0", 1), quality=95)
        assert read_rgb(path).converted_from is None

    def test_a_profile_counts_before_exif(self, tmp_path: Path) -> None:
        data = coded(PATCHES, "JPEG", exif=self.block(b"R03\0"), icc_profile=display_p3())
        assert read(data, "jpg", tmp_path).converted_from != "Adobe RGB"
