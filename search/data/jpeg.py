"""JPEG files. Pillow gets the segments of the picture; metadata is kept from it.

Pillow refuses a file over some kinds of damage in its metadata.
"""

from __future__ import annotations

from io import BytesIO
from struct import unpack_from

from PIL import Image

from search.data import colours, exif
from search.data.picture import Colours, Picture

SCAN, END = 0xDA, 0xD9
ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers without a segment."""
APP1, APP2 = 0xE1, 0xE2
METADATA = {*range(0xE1, 0xEE), 0xEF, 0xFE}
"""Markers of metadata: all APPn but those of JFIF and Adobe, which say how colours are coded, and
comments."""
XMP, PROFILE = b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"


def open_jpeg(data: bytes) -> Picture:
    """Open a JPEG file; of several images, the first. Raises Pillow's errors for damaged files."""
    picture, metadata = _separate(data)
    app1 = [content for marker, content in metadata if marker == APP1]
    block = next((content for content in app1 if content.startswith(exif.PREFIX)), None)
    xmp = next((content for content in app1 if content.startswith(XMP)), None)
    profile = _profile([content for marker, content in metadata if marker == APP2])
    embedded = Colours(profile) if profile else None
    return Picture(
        Image.open(BytesIO(picture), formats=("JPEG",)),
        embedded or (colours.adobe_rgb() if exif.is_adobe_rgb(block) else None),
        exif.orientation(block, xmp),
        lossy=True,
        exif=block,
    )


def _separate(data: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
    """A file without metadata, and the markers and contents of its metadata."""
    kept = bytearray(data[:2])
    metadata: list[tuple[int, bytes]] = []
    at = 2
    while 0 <= at <= len(data) - 4:
        marker = data[at + 1]
        if data[at] != 0xFF or marker in (0x00, 0xFF):
            # Decoders skip fill bytes and anything else between segments.
            at = data.find(b"\xff", at + 1)
            continue
        if marker in (SCAN, END):
            return bytes(kept + data[at:]), metadata
        end = at + 2 if marker in ALONE else at + 2 + unpack_from(">H", data, at + 2)[0]
        if marker in METADATA:
            metadata.append((marker, data[at + 4 : end]))
        else:
            kept += data[at:end]
        at = end
    return bytes(kept), metadata


def _profile(segments: list[bytes]) -> bytes | None:
    """The ICC profile in segments that have its parts in any order; None if parts are missing.

    Some programs store it twice.
    """
    parts = sorted({part[len(PROFILE) :] for part in segments if part.startswith(PROFILE)})
    # Each part begins with its number and the number of all parts.
    whole = bool(parts) and parts[0][1:2] == bytes((min(len(parts), 255),))
    return b"".join(part[2:] for part in parts) if whole else None
