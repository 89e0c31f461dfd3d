"""The conformance suite of anchors, on crops of a real photograph."""

import re
import sys
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from search.bench import video
from search.bench.anchors import (
    DEFAULT_CODECS,
    OPTIONAL_CODECS,
    BenchCodec,
    CodecError,
    Pixels,
    anchor,
)

PHOTO: Pixels = astronaut()[60:172, 180:324]
SIZES = [(112, 144), (63, 97), (48, 31)]
"""Heights and widths, even and odd."""
PILLOW = {"jpeg": "JPEG", "webp": "WEBP", "avif": "AVIF", "heic": "HEIF"}
START_CODES = {"vvc": b"\0\0\0\1", "av1": b"\x12\0\x0a"}
"""A NAL unit's; a temporal delimiter's, then a sequence header's."""


@pytest.fixture(
    params=[*DEFAULT_CODECS, *(pytest.param(n, marks=pytest.mark.slow) for n in OPTIONAL_CODECS)]
)
def codec(request: pytest.FixtureRequest) -> BenchCodec:
    if request.param in OPTIONAL_CODECS:
        pytest.importorskip("imageio_ffmpeg")
    return anchor(request.param)


def psnr(a: Pixels, b: Pixels) -> float:
    return float(-10 * np.log10(np.square((a / 255.0) - b / 255.0).mean()))


def test_rate_and_quality_rise_along_the_ladder(codec: BenchCodec) -> None:
    files = [codec.encode(PHOTO, quality) for quality in codec.qualities]
    scores = [psnr(PHOTO, codec.decode(file)) for file in files]
    assert len(files) >= 7
    assert (np.diff([len(file) for file in files]) > 0).all()
    assert (np.diff(scores) > 0).all()
    assert scores[-1] >= 32


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_is_decoded_is_what_was_encoded(codec: BenchCodec, size: tuple[int, int]) -> None:
    pixels = PHOTO[: size[0], : size[1]]
    for quality in (codec.qualities[0], codec.qualities[-1]):
        decoded = codec.decode(codec.encode(pixels, quality))
        assert decoded.shape == pixels.shape
        assert decoded.dtype == np.uint8
    # A matrix or a range mixed up moves colours by more.
    assert np.abs(decoded.mean((0, 1)) - pixels.mean((0, 1))).max() < 1.5
    assert psnr(pixels, decoded) >= 30


def test_the_same_pixels_give_the_same_file(codec: BenchCodec) -> None:
    quality = codec.qualities[3]
    assert codec.encode(PHOTO, quality) == codec.encode(PHOTO.copy(), quality)


def test_files_are_of_the_format(codec: BenchCodec) -> None:
    data = codec.encode(PHOTO, codec.qualities[2])
    if codec.name in PILLOW:
        opened = Image.open(BytesIO(data))
        assert (opened.format, opened.size) == (PILLOW[codec.name], (144, 112))
    elif codec.name == "jxl":
        assert imagecodecs.jpegxl_check(data)
    else:
        assert data.startswith(START_CODES[codec.name])


def test_jpeg_is_420() -> None:
    codec = anchor("jpeg")
    layers = Image.open(BytesIO(codec.encode(PHOTO, 75))).layer
    assert [layer[1:3] for layer in layers] == [(2, 2), (1, 1), (1, 1)]


def test_settings_name_versions() -> None:
    for name in DEFAULT_CODECS:
        codec = anchor(name)
        assert codec.name == name
        assert re.search(r"\d+\.\d+", codec.settings)
        assert len(set(codec.qualities)) == len(codec.qualities)


def test_an_unknown_codec_names_the_known() -> None:
    with pytest.raises(CodecError, match=r"unknown codec 'jpg'; .* jpeg, webp, avif, heic, jxl"):
        anchor("jpg")


def test_without_imageio_ffmpeg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    video._binary.cache_clear()
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(CodecError, match=r"need imageio-ffmpeg: pip install"):
        anchor("vvc")
    video._binary.cache_clear()


def test_an_ffmpeg_without_the_encoder_is_refused() -> None:
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(CodecError, match="has no encoder libnone"):
        video.tool("libnone", "vvc")
