"""Classical codecs as anchors: learned codecs are compared with them.

Each codec codes 8-bit sRGB in 4:2:0, at the default speed of its library or close to it. The field
`settings` states the speed and any exception.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features
from pillow_heif import libheif_info, register_heif_opener

from latency_predictor.errors import UserError

Pixels = NDArray[np.uint8]
"""8-bit sRGB image [H, W, 3]."""

register_heif_opener()


class CodecError(UserError):
    """The codec is unknown or cannot run on this machine."""


@dataclass(frozen=True)
class BenchCodec:
    """A codec under comparison, which encodes images to files in memory and decodes them."""

    name: str
    title: str
    """Name in plots and tables."""
    settings: str
    """Versions and settings; two codecs with equal settings write equal files."""
    qualities: tuple[float, ...]
    """Values of the codec's own quality setting, in order of increasing rate. With those of the
    anchors, rates are about 0.1 to 2.5 bpp."""
    encode: Callable[[Pixels, float], bytes]
    """Encodes an image [H, W, 3] at a quality."""
    decode: Callable[[bytes], Pixels]
    """Decodes a file that `encode` wrote to an image [H, W, 3]."""


def jpeg() -> BenchCodec:
    """Baseline JPEG by libjpeg-turbo with optimised Huffman tables."""
    turbo = features.version_feature("libjpeg_turbo")
    return BenchCodec(
        "jpeg",
        "JPEG",
        f"libjpeg-turbo {turbo}, baseline, 4:2:0, optimised Huffman tables",
        (5, 10, 20, 35, 55, 75, 86, 92),
        partial(_pillow_encode, "JPEG", subsampling="4:2:0", optimize=True),
        partial(_pillow_decode, "JPEG"),
    )


def webp() -> BenchCodec:
    """Lossy WebP at its slowest method."""
    return BenchCodec(
        "webp",
        "WebP",
        f"libwebp {features.version_module('webp')}, method 6",
        (1, 12, 35, 60, 80, 89, 95),
        partial(_pillow_encode, "WEBP", method=6),
        partial(_pillow_decode, "WEBP"),
    )


def avif() -> BenchCodec:
    """AVIF by libaom at libavif's default speed."""
    return BenchCodec(
        "avif",
        "AVIF",
        f"libavif {features.version_module('avif')}, aom, speed 6, 4:2:0",
        (15, 25, 38, 52, 66, 80, 91),
        partial(_pillow_encode, "AVIF", codec="aom", speed=6, subsampling="4:2:0", max_threads=1),
        partial(_pillow_decode, "AVIF"),
    )


def heic() -> BenchCodec:
    """HEIC by x265 at libheif's default preset."""
    info = libheif_info()
    return BenchCodec(
        "heic",
        "HEIC",
        f"libheif {info['libheif']}, {info['encoders']['x265']}, preset slow, 4:2:0",
        (15, 22, 30, 38, 46, 55, 64),
        partial(_pillow_encode, "HEIF", chroma=420, enc_params={"preset": "slow"}),
        partial(_pillow_decode, "HEIF"),
    )


def jxl() -> BenchCodec:
    """JPEG XL (VarDCT, XYB colour) at libjxl's default effort.

    Its quality setting is the Butteraugli distance.
    """
    import imagecodecs

    def encode(pixels: Pixels, quality: float) -> bytes:
        return bytes(imagecodecs.jpegxl_encode(pixels, distance=quality, effort=7, numthreads=1))

    def decode(data: bytes) -> Pixels:
        return np.asarray(imagecodecs.jpegxl_decode(data, numthreads=1))

    return BenchCodec(
        "jxl",
        "JPEG XL",
        f"{imagecodecs.jpegxl_version()}, effort 7, quality is the Butteraugli distance",
        (25, 13, 7.5, 4.5, 2.6, 1.4, 0.6),
        encode,
        decode,
    )


def vvc() -> BenchCodec:
    """H.266 intra by libvvenc; needs the optional extra `video`."""
    from search.bench import video

    return BenchCodec(
        "vvc",
        "VVC",
        f"{video.tool('libvvenc', 'vvc')}, preset fast, 10 bits, 4:2:0, quality is the QP",
        (47, 42, 37, 32, 27, 23, 20),
        video.encode_vvc,
        video.decode_vvc,
    )


def av1() -> BenchCodec:
    """10-bit AV1 intra by libaom; needs the optional extra `video`."""
    from search.bench import video

    return BenchCodec(
        "av1",
        "AV1 10-bit",
        f"{video.tool('libaom-av1', 'av1')}, all-intra, cpu-used 4, 10 bits, 4:2:0, "
        "quality is the CRF",
        (57, 49, 41, 33, 25, 17, 8),
        video.encode_av1,
        video.decode_av1,
    )


DEFAULT_CODECS: dict[str, Callable[[], BenchCodec]] = {
    "jpeg": jpeg, "webp": webp, "avif": avif, "heic": heic, "jxl": jxl
}  # fmt: skip
OPTIONAL_CODECS: dict[str, Callable[[], BenchCodec]] = {"vvc": vvc, "av1": av1}


def anchor(name: str) -> BenchCodec:
    """Return a classical codec by name. Raises CodecError if it is unknown or cannot run here."""
    known = DEFAULT_CODECS | OPTIONAL_CODECS
    if name not in known:
        raise CodecError(f"unknown codec '{name}'; expected one of {', '.join(known)}")
    return known[name]()


def _pillow_encode(kind: str, pixels: Pixels, quality: float, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind, quality=int(quality), **options)
    return file.getvalue()


def _pillow_decode(kind: str, data: bytes) -> Pixels:
    with Image.open(BytesIO(data), formats=(kind,)) as image:
        return np.asarray(image.convert("RGB"))
