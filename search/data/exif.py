"""The facts of an EXIF block that matter: orientation, Adobe RGB, and whether a position is in it.

Only these entries are read, and no others are parsed. Cameras and editors leave all kinds of damage
in the rest of the block, which says nothing about the picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from struct import error, pack_into, unpack_from

ORIENTATION = 0x0112
EXIF_DIRECTORY, COLOUR_SPACE = 0x8769, 0xA001
INTEROPERABILITY_DIRECTORY, INDEX = 0xA005, 0x0001
POSITION_DIRECTORY = 0x8825
UPRIGHT = 1
"""The orientation of a picture that is not turned."""
STARTS = (b"II*\0", b"MM\0*")
"""First bytes of a block in either order of bytes."""
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


def has_position(exif: bytes) -> bool:
    """Whether an EXIF block says where the photograph was taken (GPS)."""
    return POSITION_DIRECTORY in _main_directory(exif)


def of_upright(exif: bytes | None) -> bytes:
    """The block without its prefix, for a picture that was turned upright.

    Only the orientation is changed. The result is empty if there is no block or if it does not
    begin like one.
    """
    tiff = bytearray((exif or b"").removeprefix(PREFIX))
    if not tiff.startswith(STARTS):
        return b""
    with suppress(error):
        for tag, kind, at in _entries(tiff, _start(tiff)):
            if tag == ORIENTATION and kind in NUMBERS:
                pack_into(_order(tiff) + NUMBERS[kind], tiff, at, UPRIGHT)
    return bytes(tiff)


def _main_directory(block: bytes) -> dict[int, int | bytes]:
    return _directory(block, _start(block.removeprefix(PREFIX)))


def _start(tiff: bytes | bytearray) -> int | None:
    """Place of the main directory."""
    if len(tiff) < 8:
        return None
    (start,) = unpack_from(_order(tiff) + "L", tiff, 4)
    return int(start)


def _directory(block: bytes, start: int | bytes | None) -> dict[int, int | bytes]:
    """Whole numbers and short texts of an image file directory by tag, as far as it is there.

    Only what an entry holds itself is read: a number, and the first four bytes of a text.
    """
    values: dict[int, int | bytes] = {}
    tiff = block.removeprefix(PREFIX)
    # A truncated directory ends in this error.
    with suppress(error):
        for tag, kind, at in _entries(tiff, start):
            if kind in NUMBERS:
                values.setdefault(tag, unpack_from(_order(tiff) + NUMBERS[kind], tiff, at)[0])
            elif kind == TEXT:
                values.setdefault(tag, tiff[at : at + 4])
    return values


def _entries(tiff: bytes | bytearray, start: int | bytes | None) -> Iterator[tuple[int, int, int]]:
    """Tag, type and place of the value of a directory's entries. It may end in a struct.error."""
    order = _order(tiff)
    if isinstance(start, int):
        (count,) = unpack_from(order + "H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = unpack_from(order + "HH", tiff, at)
            yield tag, kind, at + 8


def _order(tiff: bytes | bytearray) -> str:
    return "<" if tiff.startswith(b"II") else ">"
