import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from made_images import display_p3, p3_in_srgb, sixteen_bit_png
from PIL import Image, ImageCms, PngImagePlugin
from skimage.data import astronaut

from search.data.images import ImageError, TransparentError, read_rgb, write_png

PIXELS = astronaut()[:160, 150:350]
IMAGE = Image.fromarray(PIXELS)
GREY = Image.fromarray(PIXELS[..., 1])


def error(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize(
    ("suffix", "lossy", "tolerance"),
    [
        ("png", False, 0),
        ("tif", False, 0),
        ("jpg", True, 3),
        ("webp", True, 3),
        ("heic", True, 3),
        ("avif", True, 3),
    ],
)
def test_every_format_is_read(suffix: str, lossy: bool, tolerance: float, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    IMAGE.save(path, quality=95)
    decoded = read_rgb(path)
    assert decoded.pixels.dtype == np.uint8
    assert error(decoded.pixels, PIXELS) <= tolerance
    assert decoded.lossy == lossy


def test_jpegs_of_several_images_are_read(tmp_path: Path) -> None:
    IMAGE.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[GREY], quality=95)
    decoded = read_rgb(tmp_path / "a.jpg")
    assert error(decoded.pixels, PIXELS) < 3
    assert decoded.lossy


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "heic", "avif"])
def test_images_are_turned_upright(suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise for display
    IMAGE.save(tmp_path / f"a.{suffix}", exif=exif.tobytes(), quality=95)
    assert error(read_rgb(tmp_path / f"a.{suffix}").pixels, np.rot90(PIXELS, -1)) < 3


@pytest.mark.parametrize(
    ("suffix", "tolerance"),
    [("png", 0.5), ("tif", 0.5), ("jpg", 2.5), ("webp", 2.5), ("heic", 2.5), ("avif", 2.5)],
)
def test_display_p3_is_converted(suffix: str, tolerance: float, tmp_path: Path) -> None:
    colours = np.array([[[200, 100, 50], [60, 180, 70], [40, 60, 190]]], dtype=np.uint8)
    patches = colours.repeat(32, axis=0).repeat(32, axis=1)
    Image.fromarray(patches).save(tmp_path / f"a.{suffix}", icc_profile=display_p3(), quality=95)
    converted = read_rgb(tmp_path / f"a.{suffix}").pixels
    assert error(converted, patches) > 5
    assert error(converted, p3_in_srgb(patches)) < tolerance


@pytest.mark.parametrize("kind", ["srgb", "broken", "of another mode"])
def test_profiles_that_change_nothing(kind: str, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if kind == "broken":
        profile = profile[:200]
    if kind == "of another mode":
        profile = profile.replace(b"RGB XYZ ", b"CMYKXYZ ")
    IMAGE.save(tmp_path / "a.png", icc_profile=profile)
    assert (read_rgb(tmp_path / "a.png").pixels == PIXELS).all()


def test_greyscale_with_a_colour_profile(tmp_path: Path) -> None:
    GREY.save(tmp_path / "a.png", icc_profile=display_p3())
    expected = np.repeat(PIXELS[..., 1:2], 3, axis=2)
    assert (read_rgb(tmp_path / "a.png").pixels == expected).all()


def test_greyscale_with_a_gamma(tmp_path: Path) -> None:
    whole = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    whole[16:20] = b"GRAY"
    linear = bytes(whole).replace(b"rTRC", b"kTRC")
    at = linear.index(b"para")
    linear = linear[:at] + b"curv" + bytes(8) + linear[at + 12 :]
    Image.fromarray(np.full((4, 4), 55, dtype=np.uint8)).save(
        tmp_path / "a.png", icc_profile=linear
    )
    # Linear 55 / 255 is level 128 of sRGB.
    assert np.abs(read_rgb(tmp_path / "a.png").pixels.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_modes_are_converted(mode: str, tmp_path: Path) -> None:
    image = IMAGE.convert(mode)
    image.save(tmp_path / "a.png")
    assert (read_rgb(tmp_path / "a.png").pixels == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_is_converted(suffix: str, tmp_path: Path) -> None:
    IMAGE.convert("CMYK").save(tmp_path / f"a.{suffix}", quality=95)
    assert error(read_rgb(tmp_path / f"a.{suffix}").pixels, PIXELS) < 3


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_transparency_is_refused(mode: str, tmp_path: Path) -> None:
    image = IMAGE.convert(mode)
    if "A" in mode:
        image.putalpha(254)
        image.save(tmp_path / "a.png")
    else:
        corner = image.getpixel((0, 0))
        image.save(tmp_path / "a.png", transparency=corner)
    with pytest.raises(TransparentError, match=r"a\.png: has transparent pixels.* flatten it"):
        read_rgb(tmp_path / "a.png")


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_of_16_bits_the_high_byte_is_kept(colour_type: int, channels: int, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (9, 7, channels))
    colours = samples[..., : channels - 1 if colour_type & 4 else channels]
    if colour_type & 4:
        samples[..., -1] = 65535
    (tmp_path / "a.png").write_bytes(sixteen_bit_png(samples, colour_type))
    assert (read_rgb(tmp_path / "a.png").pixels == np.broadcast_to(colours >> 8, (9, 7, 3))).all()


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_tiff(order: str, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (9, 7))
    Image.fromarray(samples.astype(order)).save(tmp_path / "a.tif")
    assert (read_rgb(tmp_path / "a.tif").pixels == (samples >> 8)[..., None]).all()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_deeper_greyscale_is_refused(mode: str, tmp_path: Path) -> None:
    GREY.convert(mode).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: is 32-bit greyscale; convert it"):
        read_rgb(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file or directory; expected a file of PNG, JPEG, WebP, TIFF, HEIC or AVIF"),
        ("folder", "Is a directory; expected a file of PNG"),
        (b"", "not a readable image; expected PNG, JPEG, WebP, TIFF, HEIC or AVIF"),
        (b"not a photograph", "not a readable image"),
        (b"GIF89a" + bytes(100), "not a readable image"),
    ],
)
def test_what_is_no_image(content: str | bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ImageError, match=re.escape(f"{path}: {says}")):
        read_rgb(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "heic", "avif"])
def test_truncated_files(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    IMAGE.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ImageError, match=rf"a\.{suffix}: .* damaged or truncated \(.+\)$"):
        read_rgb(path)


def test_sides_that_the_bitstream_cannot_hold(tmp_path: Path) -> None:
    Image.new("L", (65536, 1)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="65536x1 pixels; expected sides of at most 65535"):
        read_rgb(tmp_path / "a.png")


def test_large_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    IMAGE.save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_rgb(tmp_path / "a.png").pixels.size == PIXELS.size
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(ImageError, match="expected at most 20,000 pixels"):
        read_rgb(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "A.PNG"])
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"older")
    write_png(PIXELS, tmp_path / name)
    assert (read_rgb(tmp_path / name).pixels == PIXELS).all()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.jpg", "a", "png"])
def test_only_png_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"{name}: only PNG is written"):
        write_png(PIXELS, tmp_path / name)
    assert not list(tmp_path.iterdir())


CASES = Path(__file__).parents[4] / "shared/cases/images"


@pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/cases/images")
class TestCases:
    """Files that earlier versions read wrongly or refused."""

    @pytest.mark.parametrize("name", ["cicp_pq.png", "hdr_pq.avif"])
    def test_high_dynamic_range(self, name: str) -> None:
        with pytest.raises(ImageError, match=r"has high dynamic range \(PQ\); convert it"):
            read_rgb(CASES / name)

    def test_16_bits_with_white_as_zero(self) -> None:
        path = CASES / "g16_minwhite.tif"
        samples = tifffile.imread(path)
        assert (read_rgb(path).pixels == ((65535 - samples) >> 8)[..., None]).all()

    def test_a_rational_of_minus_one_by_zero(self) -> None:
        path = CASES / "o6_srational_-1_0.jpg"
        upright = np.rot90(np.asarray(Image.open(path)), -1)
        assert (read_rgb(path).pixels == upright).all()

    def test_long_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 1 << 24)
        path = CASES / "bigtext.png"
        assert (read_rgb(path).pixels == np.asarray(Image.open(path).convert("RGB"))).all()
