"""HEIC and AVIF files, which are boxes of the same kinds (HEIF)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO

import pillow_heif
from PIL import Image

from search.data import colours, exif
from search.data.picture import Colours, Picture

pillow_heif.register_heif_opener()

FORMATS = ("HEIF", "AVIF")
EXIF_ITEM = re.compile(rb"(infe\x02.{7}|infe\x03.{9})Exif", re.DOTALL)
"""An EXIF block in the list of a file's items."""
ICC_PROFILE = re.compile(rb"colr(?:prof|rICC)")
"""Beginning of the box that has an ICC profile."""


def open_heif(data: bytes) -> Picture:
    """Open a HEIC or AVIF file.

    The container's own properties say how the picture is turned, and EXIF is not read. libheif has
    turned a HEIC already. Raises ImageError for HDR, and the decoders' errors for damaged files.
    """
    # Pillow rewrites the whole EXIF block of an AVIF that is turned, and fails if it is odd.
    file = Image.open(BytesIO(EXIF_ITEM.sub(rb"\1none", data)), formats=FORMATS)
    # libheif reports code points only where there is no ICC profile.
    info = pillow_heif.open_heif(BytesIO(ICC_PROFILE.sub(b"freenone", data))).info
    # Code points of high dynamic range are refused beside a profile too.
    declared = _of_code_points(info.get("nclx_profile"))
    profile = file.info.get("icc_profile")
    return Picture(
        file,
        Colours(profile) if profile else declared,
        exif.orientation(file.info.get("exif")),
        lossy=True,
        exif=info.get("exif"),
    )


def _of_code_points(nclx: Mapping[str, int] | None) -> Colours | None:
    """Colours by the code points of the primary image."""
    if nclx is None:
        return None
    return colours.of_code_points(nclx["color_primaries"], nclx["transfer_characteristics"])
