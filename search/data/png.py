"""PNG files. Pillow gets the chunks of the picture; text and other metadata are kept from it.

Pillow refuses a file over the size of its text, or over damage in any chunk.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BytesIO
from struct import unpack_from

from PIL import Image

from search.data import colours, exif
from search.data.colours import Chromaticities
from search.data.picture import Colours, ImageError, Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PICTURE_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
COLOUR_CHUNKS = {b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"}
TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}
XMP, RAW_EXIF = b"XML:com.adobe.xmp", b"Raw profile type exif"
"""Keywords of the texts that are read: for XMP, and for EXIF as ImageMagick writes it."""
MOST_INFLATED = 1 << 24
"""Largest size in bytes to which a profile or text is inflated; the rest is cut off."""
UNSPECIFIED = b"\x02\x02"
"""Code points in a cICP chunk that leave primaries and transfer open."""
SRGB_GAMMA = range(43182, 47728)
"""Values of gAMA that stand for the curve of sRGB: 1/2.2 in units of 1e-5, within 5 % as libpng."""


def open_png(data: bytes) -> Picture:
    """Open a PNG file. Raises ImageError for HDR, and Pillow's errors for damaged files."""
    kept = [SIGNATURE]
    found: dict[bytes, bytes] = {}
    for kind, content, whole in _chunks(data):
        if kind in PICTURE_CHUNKS:
            kept.append(whole)
        elif zlib.crc32(kind + content).to_bytes(4, "big") != whole[-4:]:
            continue
        elif kind in COLOUR_CHUNKS or kind == b"eXIf":
            found.setdefault(kind, content)
        elif kind in TEXT_CHUNKS and content.startswith((XMP + b"\0", RAW_EXIF + b"\0")):
            keyword, _, text = content.partition(b"\0")
            found.setdefault(keyword, _text(kind, text))
    block = found.get(b"eXIf", _raw_exif(found.get(RAW_EXIF, b"")))
    return Picture(
        Image.open(BytesIO(b"".join(kept)), formats=("PNG",)),
        _colours(found, block),
        exif.orientation(block, found.get(XMP)),
        lossy=False,
        exif=block,
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Type, content and whole bytes of each chunk. The last may be cut off."""
    at, kind = len(SIGNATURE), b""
    while at + 8 <= len(data) and kind != b"IEND":
        length, kind = unpack_from(">L4s", data, at)
        whole = data[at : at + 12 + length]
        yield kind, whole[8 : 8 + length], whole
        at += 12 + length


def _text(kind: bytes, text: bytes) -> bytes:
    """The text of a chunk, from what follows its keyword."""
    if kind == b"tEXt":
        return text
    if kind == b"zTXt":
        return _inflated(text[1:])
    compressed, (_, _, content) = text[:1] == b"\1", (text[2:].split(b"\0", 2) + [b""] * 3)[:3]
    return _inflated(content) if compressed else content


def _inflated(data: bytes) -> bytes:
    """At most MOST_INFLATED bytes of inflated data; none of damaged data."""
    try:
        return zlib.decompressobj().decompress(data, MOST_INFLATED)
    except zlib.error:
        return b""


def _raw_exif(text: bytes) -> bytes:
    """The EXIF block in a text of ImageMagick: a name, a length, then hexadecimal lines."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""


def _colours(found: dict[bytes, bytes], block: bytes) -> Colours | None:
    """Colours by the first of the chunks cICP, iCCP, sRGB, gAMA and cHRM, or else by EXIF."""
    codes = found.get(b"cICP", UNSPECIFIED)
    if len(codes) == 4 and not codes.startswith(UNSPECIFIED):
        if codes[3] != 1:
            raise ImageError("has video levels (cICP); convert it to sRGB of full range first")
        return colours.of_code_points(codes[0], codes[1])
    profile = _inflated(found.get(b"iCCP", b"").partition(b"\0")[2][1:])
    if profile:
        return Colours(profile)
    if b"sRGB" in found:
        return None
    if b"gAMA" in found or b"cHRM" in found:
        return _of_gamma(found.get(b"gAMA", b""), found.get(b"cHRM", b""))
    return colours.adobe_rgb() if exif.is_adobe_rgb(block) else None


def _of_gamma(gamma: bytes, chromaticities: bytes) -> Colours | None:
    """Colours by the chunks gAMA and cHRM, either of which may be absent."""
    value = int.from_bytes(gamma[:4], "big")
    near_srgb = not value or value in SRGB_GAMMA
    curve = colours.srgb_curve if near_srgb else colours.power_curve(100_000 / value)
    space = colours.SRGB
    if len(chromaticities) == 32:
        xy = [number / 100_000 for number in unpack_from(">8L", chromaticities)]
        white, red, green, blue = zip(xy[::2], xy[1::2], strict=True)
        space = Chromaticities(red, green, blue, white)
    return colours.of_chromaticities("the colours in gAMA and cHRM", space, curve)
