"""A picture as its file has it: samples, colours, orientation; and the errors of reading one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latency_predictor.errors import UserError
from space.bitstream.container import MAX_SIDE


class ImageError(UserError):
    """The image cannot be read or written."""


class TransparentError(ImageError):
    """The image has transparent pixels."""


@dataclass(frozen=True)
class Colours:
    """Colours other than those of sRGB."""

    profile: bytes
    """ICC profile."""
    name: str | None = None
    """Name of the colour space; None for an embedded profile, which has its own."""


@dataclass(frozen=True)
class Picture:
    """A picture, neither turned upright nor converted to sRGB."""

    image: Image.Image
    """The samples, possibly not yet decoded."""
    colours: Colours | None
    """The colours that the file declares; None for sRGB and for files that declare none."""
    orientation: int
    """Orientation as in EXIF, 1 to 8; 1 is upright."""
    lossy: bool
    """Whether the file has a lossy format."""
    exif: bytes | None = None
    """EXIF block, as the file has it; None if there is none or, in a TIFF, if it is the file."""


def check_size(width: int, height: int) -> None:
    """Raise ImageError if an image is larger than a coded file can hold, or than Pillow's limit."""
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{width}x{height} pixels; expected sides of at most {MAX_SIDE}")
    if Image.MAX_IMAGE_PIXELS is not None and width * height > 2 * Image.MAX_IMAGE_PIXELS:
        raise ImageError(too_large())


def check_opaque(alpha: NDArray[np.generic], opaque: int) -> None:
    """Raise TransparentError if a level of `alpha` is below `opaque`."""
    if alpha.min() < opaque:
        raise TransparentError(
            "has transparent pixels, which are not supported; flatten it onto a background first"
        )


def too_large() -> str:
    """Message about an image above Pillow's limit."""
    assert Image.MAX_IMAGE_PIXELS is not None
    return f"too large; expected at most {2 * Image.MAX_IMAGE_PIXELS:,} pixels"
