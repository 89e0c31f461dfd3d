"""What is kept of a photograph's metadata, in every format that has any."""

from pathlib import Path
from struct import pack

import numpy as np
import pytest
from PIL import Image, ImageCms

from search.data import exif
from search.data.colours import of_code_points
from search.data.images import ImageError, read_rgb, write_png
from space.bitstream.container import MAX_METADATA, Metadata

P3 = of_code_points(12, 13)
assert P3 is not None
SUFFIXES = ["jpg", "png", "webp", "heic", "avif"]
PICTURE = Image.fromarray(
    np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8).repeat(8, 0).repeat(8, 1)
)


def block(orientation: int = 6) -> bytes:
    """An EXIF block of a turned photograph with a camera, a position and a thumbnail's entry."""
    made = Image.Exif()
    made[exif.ORIENTATION], made[0x010F] = orientation, "Kamera"
    made.get_ifd(exif.POSITION_DIRECTORY)[1] = "N"
    return made.tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exif_of_every_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    PICTURE.save(path, exif=block())
    plain, kept = read_rgb(path), read_rgb(path, keep_metadata=True)
    assert np.array_equal(kept.pixels, plain.pixels)
    assert plain.metadata == Metadata()
    found = Image.Exif()
    found.load(kept.metadata.exif)
    # An AVIF of Pillow is turned by its container alone.
    assert (found.get(exif.ORIENTATION, 1), found[0x010F]) == (1, "Kamera")
    assert exif.has_position(kept.metadata.exif)
    # Turned once: what is written and read again has the same pixels.
    write_png(kept.pixels, tmp_path / "b.png", kept.metadata)
    assert np.array_equal(read_rgb(tmp_path / "b.png").pixels, plain.pixels)
    assert read_rgb(tmp_path / "b.png", keep_metadata=True).metadata == kept.metadata


@pytest.mark.parametrize("suffix", [*SUFFIXES, "tif"])
def test_profiles_of_every_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    PICTURE.save(path, icc_profile=P3.profile)
    kept = read_rgb(path, keep_metadata=True)
    assert kept.metadata.icc == P3.profile
    assert kept.converted_from is None
    write_png(kept.pixels, tmp_path / "b.png", kept.metadata)
    assert np.array_equal(read_rgb(tmp_path / "b.png").pixels, read_rgb(path).pixels)


def test_colours_without_an_rgb_profile_are_converted(tmp_path: Path) -> None:
    """Code points, and a profile of grey."""
    path = tmp_path / "a.avif"
    PICTURE.save(path)
    srgb, p3 = (b"colrnclx\0%c\0\x0d" % primaries for primaries in (1, 12))
    path.write_bytes(path.read_bytes().replace(srgb, p3))
    kept = read_rgb(path, keep_metadata=True)
    assert kept.metadata == Metadata()
    assert kept.converted_from == "Display P3"
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    PICTURE.save(tmp_path / "b.jpg", icc_profile=lab)
    assert read_rgb(tmp_path / "b.jpg", keep_metadata=True).metadata == Metadata()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"Exif\0\0",
        b"no EXIF",
        b"II*\0",
        b"II*\0" + pack("<L", 2**32 - 1),
        b"MM\0*" + pack(">LH", 8, 65535),
        b"II*\0" + pack("<LH", 8, 1) + pack("<HHL", exif.ORIENTATION, 3, 1),
    ],
)
def test_damaged_blocks(damaged: bytes) -> None:
    """What begins like a block is kept as it is, and the rest is left out."""
    kept = exif.of_upright(damaged)
    assert kept == (damaged if damaged[:4] in exif.STARTS else b"")
    assert not exif.has_position(kept)


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_the_orientation_changes(order: str) -> None:
    start = exif.STARTS[order == ">"] + pack(f"{order}LH", 8, 2)
    maker = pack(f"{order}HHLL", 0x927C, 7, 4, 0x01020304)
    turned, upright = (
        start + maker + pack(f"{order}HHLHH", exif.ORIENTATION, 3, 1, value, 0) + b"rest"
        for value in (8, 1)
    )
    assert exif.of_upright(turned) == exif.of_upright(exif.PREFIX + turned) == upright


def test_a_block_that_is_too_large(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.png", exif=block() + bytes(MAX_METADATA))
    read_rgb(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a.png: impossible EXIF block of .* at most 4,194,304"):
        read_rgb(tmp_path / "a.png", keep_metadata=True)
