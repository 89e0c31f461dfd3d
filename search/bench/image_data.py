"""Sizes of the image data in JPEG, WebP and AVIF files, and coding at a given size of image data.

The header of a JPEG or AVIF file has about 300 bytes. They are a tenth of the file of a crop of
256x256, but nothing beside a photograph. Comparisons on crops therefore do not count headers.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from search.bench.anchors import Pixels, anchor

START_OF_SCAN = b"\xff\xda"
WEBP_DATA = (b"VP8 ", b"VP8L", b"ALPH")
"""Kinds of chunks in WebP files that contain coded samples."""


def jpeg_data_bytes(file: bytes) -> int:
    """Number of bytes of a baseline JPEG file from its scan on.

    The tables for quantisation and Huffman codes come before the scan.
    """
    # A baseline file of `anchors.jpeg` has one scan, and no marker within its image data.
    return len(file) - file.rindex(START_OF_SCAN)


def webp_data_bytes(file: bytes) -> int:
    """Number of bytes in the chunks of a WebP file that contain samples, without their heads."""
    position, total = 12, 0  # after the head of the RIFF container
    while position < len(file):
        kind, size = struct.unpack_from("<4sI", file, position)
        total += size if kind in WEBP_DATA else 0
        # A chunk of odd size is followed by a byte of padding.
        position += 8 + size + size % 2
    return total


def avif_data_bytes(file: bytes) -> int:
    """Number of bytes in the box `mdat` of an AVIF file, without the head of the box."""
    position = 0
    while True:
        size, kind = struct.unpack_from(">I4s", file, position)
        if kind == b"mdat":
            return int(size) - 8
        position += size


DATA_BYTES: dict[str, Callable[[bytes], int]] = {
    "jpeg": jpeg_data_bytes, "webp": webp_data_bytes, "avif": avif_data_bytes
}  # fmt: skip
"""Functions that return the size of the image data in a file, by the name of the codec."""
QUALITIES: dict[str, Sequence[int]] = {"jpeg": range(1, 96), "avif": range(101)}
"""Quality settings that `fitted` tries, by the name of the codec."""


@dataclass(frozen=True)
class Fitted:
    """A file whose image data has a given size."""

    pixels: Pixels
    """The decoded image [H, W, 3]."""
    data_bytes: int
    quality: int
    """Quality setting of the codec."""


def fitted(name: str, pixels: Pixels, most_bytes: int) -> Fitted:
    """Code an image [H, W, 3] by JPEG or AVIF with image data of at most `most_bytes`.

    The quality setting is the highest that allows it, found by bisection. If none does, it is the
    lowest.
    """
    codec, qualities = anchor(name), QUALITIES[name]
    encode = partial(codec.encode, pixels)

    def data_bytes(quality: int) -> int:
        return DATA_BYTES[name](encode(quality))

    found = bisect_right(qualities, most_bytes, key=data_bytes)
    quality = qualities[max(found - 1, 0)]
    file = encode(quality)
    return Fitted(codec.decode(file), DATA_BYTES[name](file), quality)
