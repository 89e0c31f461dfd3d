"""VVC and AV1 still pictures by the ffmpeg that imageio-ffmpeg ships.

Images are coded as 10-bit 4:2:0 full-range BT.709 Y'CbCr, since sRGB has BT.709's primaries. The
colour format is stated for encoding and decoding; ffmpeg would otherwise assume BT.601 and studio
range.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache

import numpy as np
from numpy.typing import NDArray

from search.bench.anchors import CodecError, Pixels

TAGS = (
    "-pix_fmt", "yuv420p10le", "-color_range", "pc", "-colorspace", "bt709",
    "-color_primaries", "bt709", "-color_trc", "iec61966-2-1",
)  # fmt: skip
TO_YUV = "scale=in_range=pc:out_range=pc:out_color_matrix=bt709:flags=accurate_rnd+full_chroma_int"
TO_RGB = (
    "scale=in_range=pc:out_range=pc:in_color_matrix=bt709:"
    "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
)


def tool(encoder: str, decoder: str) -> str:
    """Description of the tool: ffmpeg's version and the encoder.

    Raises CodecError if imageio-ffmpeg is missing or its ffmpeg lacks the encoder or decoder.
    """
    for kind, name in (("encoder", encoder), ("decoder", decoder)):
        if not re.search(rf"^ V\S+ {name} ", _ffmpeg(f"-{kind}s").decode(), re.MULTILINE):
            raise CodecError(f"the ffmpeg of imageio-ffmpeg has no {kind} {name}")
    version = _ffmpeg("-version").decode().split()[2]
    return f"ffmpeg {version}, {encoder}"


def encode_vvc(pixels: Pixels, quality: float) -> bytes:
    """Encode an image as an Annex B byte stream.

    4:2:0 H.266 allows even sides only, so odd sides are padded. The padding is signalled by zero
    bytes after the last NAL unit: 1 for an odd width, 2 for an odd height, 3 for both. The standard
    allows any number of zero bytes there, and none occur otherwise.
    """
    height, width, _ = pixels.shape
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    options = ("-c:v", "libvvenc", "-preset", "fast", "-qp", f"{quality:g}")
    return _encode(even, options, "vvc") + bytes(width % 2 + 2 * (height % 2))


def decode_vvc(data: bytes) -> Pixels:
    """Decode a stream of `encode_vvc`."""
    pixels = _decode(data, "vvc")
    odd = len(data) - len(data.rstrip(b"\0"))
    return pixels[: len(pixels) - odd // 2, : pixels.shape[1] - odd % 2]


def encode_av1(pixels: Pixels, quality: float) -> bytes:
    """Encode an image as a low-overhead OBU stream."""
    options = (
        "-c:v", "libaom-av1", "-usage", "allintra", "-still-picture", "1", "-cpu-used", "4",
        "-crf", f"{quality:g}", "-b:v", "0",
    )  # fmt: skip
    return _encode(pixels, options, "obu")


def decode_av1(data: bytes) -> Pixels:
    """Decode a stream of `encode_av1`."""
    return _decode(data, "obu")


def _encode(pixels: Pixels, options: tuple[str, ...], kind: str) -> bytes:
    height, width, _ = pixels.shape
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-i", "-")
    return _ffmpeg(
        *raw, "-vf", TO_YUV, *TAGS, *options, "-threads", "1", "-f", kind, "-",
        stdin=pixels.tobytes(),
    )  # fmt: skip


def _decode(data: bytes, kind: str) -> NDArray[np.uint8]:
    # Unlike raw video, PPM contains the image size.
    ppm = _ffmpeg(
        "-f", kind, "-i", "-", "-vf", TO_RGB,
        "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-",
        stdin=data,
    )  # fmt: skip
    match = re.match(rb"P6\s(\d+)\s(\d+)\s255\s", ppm)
    assert match is not None
    width, height = int(match[1]), int(match[2])
    return np.frombuffer(ppm, np.uint8, offset=match.end()).reshape(height, width, 3)


def _ffmpeg(*arguments: str, stdin: bytes = b"") -> bytes:
    """Run ffmpeg and return its standard output.

    Raises CodecError with the last line of its messages if it fails.
    """
    done = subprocess.run(
        [_binary(), "-hide_banner", "-nostdin", "-loglevel", "error", *arguments],
        input=stdin, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise CodecError(f"ffmpeg failed with exit code {done.returncode}: {lines[-1]}")
    return done.stdout


@cache
def _binary() -> str:
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError as error:
        raise CodecError("vvc and av1 need imageio-ffmpeg: pip install -e '.[video]'") from error
    return str(get_ffmpeg_exe())
