"""TIFF files, of which tifffile and imagecodecs read more kinds than Pillow, at their own depth."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from io import BytesIO
from math import prod
from struct import pack
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, SAMPLEFORMAT, TiffFile, TiffPage

from search.data import colours, exif
from search.data.colours import XY, Chromaticities, Curve
from search.data.picture import Colours, ImageError, Picture, check_opaque, check_size

# It reports every odd tag on standard error.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

CHANNELS: dict[int, int] = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.YCBCR: 3,
    PHOTOMETRIC.CIELAB: 3,
    PHOTOMETRIC.ICCLAB: 3,
}
"""Number of colour channels of the kinds of samples that are read."""
LAB = {PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB}
ALPHA = {EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA}
LIBTIFF = {
    COMPRESSION.CCITTRLE,
    COMPRESSION.CCITTFAX3,
    COMPRESSION.CCITTFAX4,
    COMPRESSION.OJPEG,
}
"""Compressions that libtiff reads and tifffile does not."""
MOST_BITS = 16
ORIENTATION, INKS, PROFILE, XMP = 274, 332, 34675, 700
TRANSFER_FUNCTION, WHITE_POINT, PRIMARIES = 301, 318, 319
CMYK_INKS = 1

Samples = NDArray[np.unsignedinteger[Any]]
"""Samples [H, W, C] at the depth of the file."""


def open_tiff(data: bytes) -> Picture:
    """Decode the first image of a TIFF file to 8 bits per channel.

    Samples are scaled by the file's own depth; above 8 bits, the high bits are kept. Raises
    ImageError for kinds of samples that are not read and for transparent pixels, and the decoders'
    errors for damaged files.
    """
    with TiffFile(BytesIO(data)) as file:
        page = file.pages.first
        check_size(page.imagewidth, page.imagelength)
        _check_kind(page)
        _check_whole(page, len(data))
        value = page.tags.valueof(ORIENTATION)
        xmp = page.tags.valueof(XMP)
        return Picture(
            _image(page, data),
            _colours(page),
            value if value in range(1, 9) else exif.orientation(None, _bytes(xmp)),
            lossy=False,
        )


def _check_kind(page: TiffPage) -> None:
    """Raise ImageError if the samples are of a kind that is not read."""
    channels = CHANNELS.get(page.photometric)
    if channels is None:
        kind = getattr(page.photometric, "name", page.photometric)
        raise ImageError(f"has samples of the kind {kind}, which is not read; convert it to RGB")
    if page.samplesperpixel < channels or page.imagedepth > 1:
        raise ImageError(
            f"has {page.samplesperpixel} samples per pixel in {page.imagedepth} layers; expected "
            f"one layer of at least {channels} for {PHOTOMETRIC(page.photometric).name}"
        )
    if page.tags.valueof(INKS, CMYK_INKS) != CMYK_INKS:
        raise ImageError("has inks other than cyan, magenta, yellow and black; convert it to RGB")
    depths = page.tags.valueof(258, 1)
    if isinstance(depths, tuple) and len(set(depths)) > 1:
        raise ImageError(f"has channels of {depths} bits; convert it to 8 bits per channel first")
    depth = f"is {page.bitspersample}-bit {'greyscale' if channels == 1 else 'colour'}; convert it"
    if page.sampleformat in (SAMPLEFORMAT.IEEEFP, SAMPLEFORMAT.COMPLEXIEEEFP):
        raise ImageError(f"{depth} from floating point to 8 or 16 bits per channel first")
    if page.bitspersample > MOST_BITS:
        raise ImageError(f"{depth} to 8 or 16 bits per channel first")
    if page.sampleformat == SAMPLEFORMAT.INT and page.photometric not in LAB:
        raise ImageError("has signed samples; convert it to unsigned ones of 8 or 16 bits first")


def _check_whole(page: TiffPage, size: int) -> None:
    """Raise ValueError if strips or tiles are missing, which tifffile fills with zeros."""
    if page.is_contiguous:
        return
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(segments) < prod(page.chunked):
        raise ValueError(f"{len(segments)} strips or tiles; expected {prod(page.chunked)}")
    if any(not count or not 0 < offset <= size - count for offset, count in segments):
        raise ValueError("a strip or tile lies outside the file")


def _image(page: TiffPage, data: bytes) -> Image.Image:
    """The pixels in mode L, RGB or CMYK. Raises TransparentError."""
    subsampled = page.photometric == PHOTOMETRIC.YCBCR and page.compression != COMPRESSION.JPEG
    if page.compression in LIBTIFF or subsampled:
        return Image.fromarray(_decoded_by_libtiff(page, data)[..., :3])
    samples, bits = _samples(page), page.bitspersample
    channels = CHANNELS[page.photometric]
    for channel, kind in enumerate(page.extrasamples, start=channels):
        if kind in ALPHA:
            check_opaque(samples[..., channel], 2**bits - 1)
    colour = samples[..., :channels]
    if page.photometric == PHOTOMETRIC.PALETTE:
        return Image.fromarray(_palette(page)[colour[..., 0]])
    if page.photometric in LAB:
        return _from_lab(colour, bits, signed=page.photometric == PHOTOMETRIC.CIELAB)
    levels = _to_8_bits(colour, bits)
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        levels = ~levels
    if channels == 4:
        return Image.fromarray(levels, "CMYK")
    return Image.fromarray(levels[..., 0] if channels == 1 else levels)


def _samples(page: TiffPage) -> Samples:
    """All samples [H, W, C], with C the samples per pixel."""
    samples = page.asarray().reshape(page.shaped)[:, 0]
    height, width = samples.shape[1:3]
    samples = samples.transpose(1, 2, 0, 3).reshape(height, width, page.samplesperpixel)
    return samples.astype(np.uint8) if samples.dtype == bool else samples


def _to_8_bits(samples: Samples, bits: int) -> NDArray[np.uint8]:
    """Samples of `bits` bits as levels of 8 bits. Of more than 8 bits, the high ones are kept."""
    if bits > 8:
        return (samples >> (bits - 8)).astype(np.uint8)
    levels = np.rint(np.arange(2**bits) * (255 / (2**bits - 1))).astype(np.uint8)
    return levels[samples]


def _palette(page: TiffPage) -> NDArray[np.uint8]:
    """Colours [n, 3] of a palette. Some writers give 8 bits where TIFF asks for 16."""
    entries = np.asarray(page.colormap).T
    return (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8)


def _from_lab(samples: Samples, bits: int, signed: bool) -> Image.Image:
    """RGB of CIE L*a*b* (D50), whose a* and b* are signed (CIELab) or offset by half (ICCLab)."""
    lab = _to_8_bits(samples.view(f"u{samples.itemsize}"), bits)
    if not signed:
        # Pillow's raw mode is that of CIELab.
        lab[..., 1:] ^= 128
    height, width, _ = lab.shape
    return Image.frombytes("LAB", (width, height), lab.tobytes(), "raw", "LAB").convert("RGB")


def _decoded_by_libtiff(page: TiffPage, data: bytes) -> NDArray[np.uint8]:
    """Pixels [H, W, 4] in RGBA, not turned upright."""
    upright = bytearray(data)
    orientation = page.tags.get(ORIENTATION)
    if orientation is not None:
        # libtiff mirrors by the orientation, but never turns by a quarter.
        at = orientation.valueoffset
        upright[at : at + 2] = pack(f"{page.parent.byteorder}H", 1)
    return imagecodecs.tiff_decode(bytes(upright), 0, asrgb=True)


def _colours(page: TiffPage) -> Colours | None:
    """Colours by an ICC profile, or else by the tags for primaries, white and transfer function."""
    profile = _bytes(page.tags.valueof(PROFILE))
    if profile:
        return Colours(profile)
    levels = 2**page.bitspersample
    table = _numbers(page, TRANSFER_FUNCTION, levels) or _numbers(
        page, TRANSFER_FUNCTION, 3 * levels
    )
    primaries, white = _numbers(page, PRIMARIES, 12), _numbers(page, WHITE_POINT, 4)
    if page.photometric != PHOTOMETRIC.RGB or not (primaries or table):
        return None
    space = colours.SRGB
    if primaries:
        red, green, blue = _chromaticities(primaries)
        space = Chromaticities(red, green, blue, *(_chromaticities(white) if white else ()))
    curve = _table_curve(table[:levels]) if table else colours.srgb_curve
    return colours.of_chromaticities("the colours in its tags", space, curve)


def _bytes(value: object) -> bytes | None:
    """The value of a tag if it has the type that it should have."""
    return value if isinstance(value, bytes) else None


def _numbers(page: TiffPage, tag: int, count: int) -> tuple[int, ...] | None:
    """The value of a tag if it has `count` whole numbers."""
    value = np.asarray(page.tags.valueof(tag)).ravel()
    return tuple(value.tolist()) if value.dtype.kind in "iu" and len(value) == count else None


def _chromaticities(ratios: tuple[int, ...]) -> list[XY]:
    """Pairs of numbers that are given as pairs of a numerator and a denominator."""
    numbers = [a / b if b else 0.0 for a, b in zip(ratios[::2], ratios[1::2], strict=True)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _table_curve(table: Sequence[int]) -> Curve:
    """The curve of TIFF's TransferFunction: linear light of each sample, in 16 bits."""
    light = np.asarray(table) / 65535
    return lambda levels: np.interp(levels, np.linspace(0, 1, len(light)), light)
