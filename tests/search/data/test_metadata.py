"""Metadata that is odd, damaged or long is no reason to refuse a picture."""

import struct
import tracemalloc
from pathlib import Path
from zlib import compress, compressobj

import numpy as np
import pytest
from made_images import (
    ASCII,
    LONG,
    RATIONAL,
    SHORT,
    SRATIONAL,
    chunk,
    coded,
    directory,
    exif_block,
    png_with,
    short,
)
from PIL import Image, TiffImagePlugin
from skimage.data import astronaut

from search.data.exif import orientation
from search.data.images import read_rgb

PIXELS = astronaut()[:96, 150:278]
TURNED = np.rot90(PIXELS, -1)
SUFFIXES = ("png", "jpg", "webp")
TURN = (274, SHORT, 1, short("<", 6))
RESOLUTION = 282
ODD_BLOCKS = {
    "a rational of -1/0": exif_block([TURN, (RESOLUTION, SRATIONAL, 1, struct.pack("<ll", -1, 0))]),
    "a rational of 1/0": exif_block([TURN, (RESOLUTION, RATIONAL, 1, struct.pack("<LL", 1, 0))]),
    "text for a number": exif_block([TURN, (RESOLUTION, ASCII, 5, b"many\0")]),
    "no text for a number": exif_block([TURN, (RESOLUTION, ASCII, 0, b"")]),
    "a number for text": exif_block([(271, SHORT, 1, short("<", 7)), TURN]),
    "an unknown type": exif_block([(271, 99, 1, b"abcd"), TURN]),
    "a value after the end": exif_block([(271, ASCII, 10**6, struct.pack("<L", 10**6)), TURN]),
    "a value that is too long": exif_block([(271, ASCII, 2**32 - 1, b"abcd"), TURN]),
    "tags out of order": exif_block([(305, ASCII, 2, b"a\0"), TURN, (271, ASCII, 2, b"a\0")]),
    "a truncated directory": exif_block([TURN, (271, ASCII, 2, b"a\0")])[:24],
    "more entries than there are": exif_block([TURN]).replace(
        directory("<", [TURN], 8)[:2], b"\xff\xff", 1
    ),
    "a directory that contains itself": exif_block([TURN, (0x8769, LONG, 1, bytes((8, 0, 0, 0)))]),
    "a directory after the end": exif_block([TURN, (0x8769, LONG, 1, b"\xff\xff\xff\xff")]),
    "a long number": exif_block([(274, LONG, 1, struct.pack("<L", 6))]),
    "a signed number": exif_block([(274, 8, 1, short("<", 6))]),
    "two numbers": exif_block([(274, SHORT, 2, short("<", 6, 1))]),
    "big-endian": exif_block([(274, SHORT, 1, short(">", 6))], ">"),
}


def save(pixels: np.ndarray, path: Path, block: bytes) -> None:
    Image.fromarray(pixels).save(path, exif=b"Exif\0\0" + block, quality=95)


def error(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(float) - b).mean())


class TestOrientation:
    """It is read alone, whatever else is in EXIF."""

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("oddity", ODD_BLOCKS)
    def test_odd_blocks(
        self, oddity: str, suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        save(PIXELS, tmp_path / f"a.{suffix}", ODD_BLOCKS[oddity])
        assert error(read_rgb(tmp_path / f"a.{suffix}").pixels, TURNED) < 3
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize(
        "block",
        [
            b"",
            b"II",
            b"not EXIF at all",
            b"II*\0\xff\xff\xff\xff",
            exif_block([(274, ASCII, 2, b"6\0")]),
            exif_block([(274, SHORT, 1, short("<", 9))]),
            exif_block([(274, SHORT, 1, short("<", 0))]),
        ],
    )
    def test_no_valid_orientation(self, block: bytes, suffix: str, tmp_path: Path) -> None:
        save(PIXELS, tmp_path / f"a.{suffix}", block)
        assert error(read_rgb(tmp_path / f"a.{suffix}").pixels, PIXELS) < 3

    @pytest.mark.parametrize("suffix", ["heic", "avif"])
    def test_boxes_turn_and_odd_exif_does_not(self, suffix: str, tmp_path: Path) -> None:
        """In HEIC and AVIF the container turns the picture."""
        exif = Image.Exif()
        exif[274] = 6
        exif[RESOLUTION] = TiffImagePlugin.IFDRational(7001, 7002)
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(PIXELS).save(path, exif=exif.tobytes(), quality=95)
        whole = path.read_bytes()
        numbers = struct.pack(">LL", 7001, 7002)
        odd = struct.pack(">ll", -1, 0)
        assert numbers in whole or numbers[::-1] in whole
        path.write_bytes(whole.replace(numbers, odd).replace(numbers[::-1], odd))
        assert error(read_rgb(path).pixels, TURNED) < 3

    @pytest.mark.parametrize("suffix", [*SUFFIXES, "tif"])
    @pytest.mark.parametrize("form", ['tiff:Orientation="6"', "<tiff:Orientation>6<"])
    def test_xmp_counts_without_exif(self, form: str, suffix: str, tmp_path: Path) -> None:
        path, xmp = tmp_path / f"a.{suffix}", f"<x {form}/>".encode()
        if suffix == "png":
            text = b"XML:com.adobe.xmp\0\1\0\0\0" + compress(xmp)
            path.write_bytes(png_with(PIXELS, chunk(b"iTXt", text)))
        elif suffix == "tif":
            Image.fromarray(PIXELS).save(path, tiffinfo={700: xmp})
        else:
            Image.fromarray(PIXELS).save(path, xmp=xmp, quality=95)
        assert error(read_rgb(path).pixels, TURNED) < 3

    @pytest.mark.parametrize("kind", [b"tEXt", b"zTXt"])
    def test_exif_in_the_text_of_imagemagick(self, kind: bytes, tmp_path: Path) -> None:
        block = b"Exif\0\0" + exif_block([TURN])
        lines = b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())
        text = lines if kind == b"tEXt" else b"\0" + compress(lines)
        data = png_with(PIXELS, chunk(kind, b"Raw profile type exif\0" + text))
        (tmp_path / "a.png").write_bytes(data)
        assert (read_rgb(tmp_path / "a.png").pixels == TURNED).all()

    def test_exif_counts_before_xmp(self) -> None:
        assert orientation(exif_block([TURN]), b'tiff:Orientation="3"') == 6


class TestText:
    """Text is no reason to refuse a picture, and is not inflated."""

    @pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"tEXt"])
    @pytest.mark.parametrize("keyword", [b"Comment", b"XML:com.adobe.xmp", b"parameters"])
    def test_long_text(self, kind: bytes, keyword: bytes, tmp_path: Path) -> None:
        text = b"text " * 500_000
        content = {
            b"tEXt": text,
            b"zTXt": b"\0" + compress(text),
            b"iTXt": b"\1\0\0\0" + compress(text),
        }[kind]
        data = png_with(PIXELS, *[chunk(kind, keyword + b"\0" + content)] * 40)
        (tmp_path / "a.png").write_bytes(data)
        assert (read_rgb(tmp_path / "a.png").pixels == PIXELS).all()

    @pytest.mark.parametrize("name", [b"Comment", b"XML:com.adobe.xmp", b"Raw profile type exif"])
    def test_a_bomb(self, name: bytes, tmp_path: Path) -> None:
        squeeze = compressobj(9)
        bomb = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(100)) + squeeze.flush()
        data = png_with(PIXELS, *[chunk(b"zTXt", name + b"\0\0" + bomb)] * 2)
        (tmp_path / "a.png").write_bytes(data)
        tracemalloc.start()
        assert (read_rgb(tmp_path / "a.png").pixels == PIXELS).all()
        assert tracemalloc.get_traced_memory()[1] < 60e6
        tracemalloc.stop()

    @pytest.mark.parametrize(
        "odd",
        [
            chunk(b"tEXt", b"Comment\0checksum", whole=False),
            chunk(b"zTXt", b"Comment\0\x07method"),
            chunk(b"zTXt", b"Comment"),
            chunk(b"iTXt", b"Comment\0\1"),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0"),
            chunk(b"tEXt", b"\xff\xfe\0\xff"),
            chunk(b"tEXt", b""),
            chunk(b"eXIf", b"II*\0", whole=False),
            chunk(b"pHYs", b"\0"),
            chunk(b"tIME", b"now"),
            chunk(b"acTL", b"\0"),
            chunk(b"fcTL", bytes(26)),
            chunk(b"gAMA", b"\0"),
            chunk(b"cHRM", b"\0"),
            chunk(b"sRGB", b""),
            chunk(b"cICP", b"\x09"),
            chunk(b"iCCP", b""),
        ],
    )
    def test_odd_chunks(self, odd: bytes, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(png_with(PIXELS, odd))
        assert (read_rgb(tmp_path / "a.png").pixels == PIXELS).all()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


@pytest.mark.parametrize(
    "odd",
    [
        segment(0xE1, b"Exif\0\0" + exif_block([(RESOLUTION, ASCII, 0, b"")])),
        segment(0xE1, b"Exif\0\0"),
        segment(0xE2, b"ICC_PROFILE\0"),
        segment(0xE2, b"ICC_PROFILE\0\1"),
        segment(0xE2, b"ICC_PROFILE\0\1\2part"),
        segment(0xE2, b"MPF\0" + exif_block([(45056, 7, 4, b"0100")])),
        segment(0xE2, b"MPF\0" + exif_block([(45057, ASCII, 4, b"two\0")])),
        segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x03\xed\0\0\0\0\0\1\0"),
        segment(0xFE, b"\xff" * 1000),
        b"\xff\xff\xff" + segment(0xFE, b"after fill bytes"),
        segment(0xFE, b"before junk") + b"junk" + segment(0xFE, b"after junk"),
    ],
)
def test_odd_segments_of_a_jpeg(odd: bytes, tmp_path: Path) -> None:
    data = coded(PIXELS, "JPEG")
    (tmp_path / "a.jpg").write_bytes(data[:2] + odd + data[2:])
    (tmp_path / "b.jpg").write_bytes(data)
    found, plain = (read_rgb(tmp_path / name).pixels for name in ("a.jpg", "b.jpg"))
    assert (found == plain).all()
