"""Image files made byte by byte, which Pillow and tifffile would not write."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from io import BytesIO
from zlib import compress, crc32

import numpy as np
from PIL import Image, ImageCms
from pillow_heif import from_pillow

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Entry = tuple[int, int, int, bytes]
"""Tag, type and count of an entry in a TIFF directory, and its value."""
SHORT, LONG, RATIONAL, SRATIONAL, ASCII = 3, 4, 5, 10, 2
P3_COLORANTS = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}
P3_TO_SRGB = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
"""Linear Display P3 to linear sRGB."""


def in_linear_light(pixels: np.ndarray) -> np.ndarray:
    x = pixels / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def in_srgb(linear: np.ndarray) -> np.ndarray:
    """Levels of sRGB, 0 to 255, of linear sRGB; colours outside it are clipped."""
    y = linear.clip(0, 1)
    return 255 * np.where(y <= 0.0031308, 12.92 * y, 1.055 * y ** (1 / 2.4) - 0.055)


def p3_in_srgb(pixels: np.ndarray) -> np.ndarray:
    return in_srgb(in_linear_light(pixels) @ P3_TO_SRGB.T)


def chunk(name: bytes, data: bytes, *, whole: bool = True) -> bytes:
    """A chunk of a PNG, with a wrong checksum if it is not `whole`."""
    check = crc32(name + data) ^ (not whole)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)


def png_with(pixels: np.ndarray, *chunks: bytes) -> bytes:
    """PNG of pixels, with further chunks before the first that has image data."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    whole = file.getvalue()
    at = whole.index(b"IDAT") - 4
    return whole[:at] + b"".join(chunks) + whole[at:]


def sixteen_bit_png(samples: np.ndarray, colour_type: int) -> bytes:
    """PNG of samples [H, W, C] of 16 bits, which Pillow cannot write for colours."""
    height, width, _ = samples.shape
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    parts = ((b"IHDR", head), (b"IDAT", compress(rows)), (b"IEND", b""))
    return SIGNATURE + b"".join(chunk(*part) for part in parts)


def directory(order: str, entries: Sequence[Entry], start: int) -> bytes:
    """A TIFF directory that begins at `start`, followed by the values that are too long for it."""
    head = struct.pack(order + "H", len(entries))
    values = b""
    at = start + 2 + 12 * len(entries) + 4
    for tag, kind, count, value in entries:
        inside = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "L", at)
        head += struct.pack(order + "HHL", tag, kind, count) + inside
        if len(value) > 4:
            values += value
            at += len(value)
    return head + bytes(4) + values


def short(order: str, *numbers: int) -> bytes:
    return struct.pack(f"{order}{len(numbers)}H", *numbers)


def exif_block(entries: Sequence[Entry], order: str = "<") -> bytes:
    """An EXIF block of one directory."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "L", 8) + directory(order, entries, 8)


def packed(samples: np.ndarray, bits: int, order: str) -> bytes:
    """Rows of samples [H, W, C], packed without gaps; each row begins at a byte."""
    height = samples.shape[0]
    if bits == 16:
        return samples.astype(f"{order}u2").tobytes()
    flat = samples.reshape(height, -1).astype(np.uint16)
    ones = (flat[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(ones.reshape(height, -1).astype(np.uint8), axis=1).tobytes()


def tiff_file(
    samples: np.ndarray, bits: int, photometric: int, order: str = "<", extra: Sequence[Entry] = ()
) -> bytes:
    """Uncompressed TIFF of one strip, of unsigned samples [H, W, C]."""
    height, width, channels = samples.shape
    data = packed(samples, bits, order)
    entries = {
        256: (LONG, 1, struct.pack(order + "L", width)),
        257: (LONG, 1, struct.pack(order + "L", height)),
        258: (SHORT, channels, short(order, *[bits] * channels)),
        259: (SHORT, 1, short(order, 1)),
        262: (SHORT, 1, short(order, photometric)),
        273: (LONG, 1, struct.pack(order + "L", 8)),
        277: (SHORT, 1, short(order, channels)),
        278: (LONG, 1, struct.pack(order + "L", height)),
        279: (LONG, 1, struct.pack(order + "L", len(data))),
        **{tag: rest for tag, *rest in extra},
    }
    start = 8 + len(data) + len(data) % 2
    whole = [(tag, *entries[tag]) for tag in sorted(entries)]
    head = b"II*\0" if order == "<" else b"MM\0*"
    return (
        head
        + struct.pack(order + "L", start)
        + data.ljust(start - 8, b"\0")
        + directory(order, whole, start)
    )


def with_code_points(data: bytes, primaries: int, transfer: int) -> bytes:
    """An AVIF or HEIC file with other code points for its colours."""
    assert b"colrnclx" in data
    return replace_after(data, b"colrnclx", struct.pack(">HH", primaries, transfer))


def replace_after(data: bytes, place: bytes, new: bytes) -> bytes:
    """`data` with the bytes after every `place` overwritten."""
    parts = data.split(place)
    return place.join([parts[0], *(new + part[len(new) :] for part in parts[1:])])


def coded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    """An image file in one of Pillow's formats, of high quality."""
    image, file = Image.fromarray(pixels), BytesIO()
    if kind == "HEIF":
        # Pillow knows this plugin by the suffix alone.
        from_pillow(image).save(file, **{"quality": 95, **options})
    else:
        image.save(file, kind, **{"quality": 95, **options})
    return file.getvalue()


def display_p3() -> bytes:
    """Display P3: the white point and curves of sRGB, with other primaries."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (tags,) = struct.unpack_from(">I", profile, 128)
    for name, offset, _ in struct.iter_unpack(">4sII", profile[132 : 132 + 12 * tags]):
        if name in P3_COLORANTS:
            struct.pack_into(
                ">3i", profile, offset + 8, *(round(x * 65536) for x in P3_COLORANTS[name])
            )
    return bytes(profile)


def with_cicp(profile: bytes, primaries: int, transfer: int) -> bytes:
    """An ICC profile with a tag `cicp` instead of its copyright."""
    codes = b"cicp" + bytes(4) + bytes((primaries, transfer, 0, 1))
    (tags,) = struct.unpack_from(">I", profile, 128)
    changed = bytearray(profile + codes)
    for at in range(132, 132 + 12 * tags, 12):
        if changed[at : at + 4] == b"cprt":
            changed[at : at + 12] = struct.pack(">4sII", b"cicp", len(profile), len(codes))
    changed[:4] = struct.pack(">I", len(changed))
    return bytes(changed)
