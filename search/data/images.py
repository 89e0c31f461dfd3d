"""Image files: reading of several formats as upright 8-bit sRGB, and writing of PNG."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from latency_predictor.writing import write_whole
from search.data import exif
from search.data.colours import adobe_rgb, kept_profile, to_srgb
from search.data.heif import open_heif
from search.data.jpeg import open_jpeg
from search.data.picture import (
    Colours,
    ImageError,
    Picture,
    TransparentError,
    check_opaque,
    check_size,
    too_large,
)
from search.data.png import open_png
from search.data.tiff import open_tiff
from space.bitstream.container import NO_METADATA, BitstreamError, Metadata

__all__ = ["Decoded", "ImageError", "TransparentError", "check_png", "read_rgb", "write_png"]

SOFTWARE = "codec-search"
"""Entry `Software` of the PNGs that are written, by which `decode` knows its own files."""
PNG_LEVEL = 1
"""Level of zlib. At Pillow's default of 6, a photograph takes 3.6 times as long."""
READABLE = "PNG, JPEG, WebP, TIFF, HEIC or AVIF"
"""The accepted formats as named in messages."""
MODES = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK"}
"""Pillow mode to which an image is converted, by the mode of the image. The new mode has 8-bit
channels and no alpha. Images in a mode that is not listed are converted to RGB."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition that turns an image upright, by its EXIF orientation."""


@dataclass(frozen=True)
class Decoded:
    """A decoded image, upright and in sRGB, or in the colours of `metadata.icc`."""

    pixels: NDArray[np.uint8]
    """RGB [H, W, 3], with sides of 1 to MAX_SIDE; read-only."""
    lossy: bool
    """Whether the file has a lossy format, so that the pixels may have coding artefacts."""
    converted_from: str | None = None
    """Name of the colour space that the pixels were converted from; None if it was sRGB."""
    metadata: Metadata = NO_METADATA
    """Metadata of the file that were kept."""


def read_rgb(path: Path, keep_metadata: bool = False) -> Decoded:
    """Decode an image file. If the file contains several images, the first is decoded.

    Pixels are rotated by the orientation and converted to sRGB from the colours that the file
    declares: by an ICC profile, by code points (PNG, HEIC, AVIF), by chromaticities (PNG, TIFF), or
    by EXIF (Adobe RGB). Colours outside sRGB are clipped. A profile that LittleCMS cannot use is
    ignored, as viewers do. Samples of more than 8 bits are reduced to their high bits. Raises
    ImageError if the file cannot be read, if it has high dynamic range or samples of a kind that is
    not read, or if it is larger than MAX_SIDE or Pillow's limit; TransparentError if it has
    transparent pixels.

    With `keep_metadata`, the EXIF block is kept, with the orientation of the upright pixels, and so
    is an RGB profile, from whose colours the pixels are then not converted. Metadata that are too
    large for a compressed file raise ImageError as well.
    """
    try:
        with warnings.catch_warnings():
            # Decoders warn about metadata, and Pillow already at half of its limit, which
            # photographs of large cameras reach.
            warnings.simplefilter("ignore")
            return _decode(_open(path), keep_metadata)
    except ImageError as error:
        raise type(error)(f"{path}: {error}") from error
    except BitstreamError as error:
        raise ImageError(f"{path}: {error}") from error
    # Decoders raise many kinds of errors on broken files.
    except Exception as error:
        raise ImageError(f"{path}: {_reason(error)}") from error


def write_png(pixels: NDArray[np.uint8], path: Path, metadata: Metadata = NO_METADATA) -> None:
    """Write an image [H, W, 3] as PNG, with its metadata, atomically.

    Raises ImageError if the suffix is not .png, and OSError if the file cannot be written.
    """
    check_png(path)
    file, about = BytesIO(), PngInfo()
    about.add_text("Software", SOFTWARE)
    kept = {"exif": metadata.exif, "icc_profile": metadata.icc}
    Image.fromarray(pixels).save(
        file, "PNG", pnginfo=about, compress_level=PNG_LEVEL,
        **{name: value for name, value in kept.items() if value},
    )  # fmt: skip
    write_whole(path, file.getvalue())


def check_png(path: Path) -> None:
    """Raise ImageError if the suffix is not .png."""
    if path.suffix.lower() != ".png":
        raise ImageError(f"{path}: only PNG is written; expected a name that ends in .png")


def _open(path: Path) -> Picture:
    """Open a file of one of the accepted formats."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        for signature, opener in OPENERS.items():
            if re.match(signature, head, re.DOTALL):
                return opener(head + file.read())
    raise UnidentifiedImageError


def _open_webp(data: bytes) -> Picture:
    file = Image.open(BytesIO(data), formats=("WEBP",))
    profile, block = file.info.get("icc_profile"), file.info.get("exif")
    embedded = Colours(profile) if profile else None
    return Picture(
        file,
        embedded or (adobe_rgb() if exif.is_adobe_rgb(block) else None),
        exif.orientation(block, file.info.get("xmp")),
        lossy=True,
        exif=block,
    )


HEAD = 16
"""Number of bytes at the beginning of a file by which its format is recognised."""
OPENERS = {
    rb"\x89PNG\r\n\x1a\n": open_png,
    rb"\xff\xd8\xff": open_jpeg,
    rb"RIFF....WEBP": _open_webp,
    rb"II[*+]\0|MM\0[*+]": open_tiff,
    rb"....ftyp": open_heif,
}
"""Readers of files, by a pattern of a file's first bytes."""


def _decode(picture: Picture, keep_metadata: bool) -> Decoded:
    check_size(*picture.image.size)
    image, source, profile = _flat(picture.image), None, b""
    if picture.colours and keep_metadata:
        profile = kept_profile(image, picture.colours)
    if picture.colours and not profile:
        image, source = to_srgb(image, picture.colours)
    image = image.convert("RGB")
    if picture.orientation in TURNS:
        image = image.transpose(TURNS[picture.orientation])
    block = exif.of_upright(picture.exif) if keep_metadata else b""
    return Decoded(np.asarray(image), picture.lossy, source, Metadata(block, profile))


def _reason(error: Exception) -> str:
    """Message for the user about an error while reading a file."""
    match error:
        case UnidentifiedImageError():
            return f"not a readable image; expected {READABLE}"
        case Image.DecompressionBombError():
            return too_large()
        case OSError(strerror=str(reason)):
            return f"{reason}; expected a file of {READABLE}"
        case _:
            return (
                f"cannot be decoded, perhaps damaged or truncated ({' '.join(str(error).split())})"
            )


def _flat(image: Image.Image) -> Image.Image:
    """Convert to mode L, RGB or CMYK. Raises TransparentError if that changes what is visible."""
    if image.has_transparency_data:
        check_opaque(np.asarray(image.convert("RGBA"))[..., 3], 255)
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert(MODES.get(image.mode, "RGB"))
