"""The two facts of an EXIF block that change how a picture looks: orientation and Adobe RGB.

Only these entries are read, and no others are parsed. Cameras and editors leave all kinds of damage
in the rest of the block, which says nothing about the picture.
"""

from __future__ import annotations

import re
from contextlib import suppress
from struct import error, unpack_from

ORIENTATION = 0x0112
EXIF_DIRECTORY, COLOUR_SPACE = 0x8769, 0xA001
INTEROPERABILITY_DIRECTORY, INDEX = 0xA005, 0x0001
PREFIX = b"Exif\0\0"
"""Bytes before the block in JPEG, and in some files of other formats."""
NUMBERS = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}
"""Formats of `struct` for TIFF's types of whole numbers."""
TEXT = 2
"""TIFF's type of text."""
XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


def orientation(exif: bytes | None, xmp: bytes | None = None) -> int:
    """Orientation, 1 to 8, from an EXIF block or else from XMP; 1 if neither has a valid one."""
    value = _main_directory(exif or b"").get(ORIENTATION)
    if isinstance(value, int) and 1 <= value <= 8:
        return value
    found = XMP_ORIENTATION.search(xmp or b"")
    return int(found[1]) if found else 1


def is_adobe_rgb(exif: bytes | None) -> bool:
    """Whether an EXIF block says that the colours are those of Adobe RGB.

    Cameras say so by the interoperability index R03 (DCF 2.0), and a few by the colour space 2.
    """
    block = exif or b""
    details = _directory(block, _main_directory(block).get(EXIF_DIRECTORY))
    interoperability = _directory(block, details.get(INTEROPERABILITY_DIRECTORY))
    return details.get(COLOUR_SPACE) == 2 or interoperability.get(INDEX) == b"R03\0"


def _main_directory(block: bytes) -> dict[int, int | bytes]:
    tiff = block.removeprefix(PREFIX)
    start = unpack_from(_order(tiff) + "L", tiff, 4)[0] if len(tiff) >= 8 else None
    return _directory(block, start)


def _directory(block: bytes, start: int | bytes | None) -> dict[int, int | bytes]:
    """Whole numbers and short texts of an image file directory by tag, as far as it is there.

    Only what an entry holds itself is read: a number, and the first four bytes of a text.
    """
    values: dict[int, int | bytes] = {}
    tiff = block.removeprefix(PREFIX)
    order = _order(tiff)
    if not isinstance(start, int):
        return values
    # A truncated directory ends in this error.
    with suppress(error):
        (count,) = unpack_from(order + "H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = unpack_from(order + "HH", tiff, at)
            if kind in NUMBERS:
                values.setdefault(tag, unpack_from(order + NUMBERS[kind], tiff, at + 8)[0])
            elif kind == TEXT:
                values.setdefault(tag, tiff[at + 8 : at + 12])
    return values


def _order(tiff: bytes) -> str:
    return "<" if tiff.startswith(b"II") else ">"
