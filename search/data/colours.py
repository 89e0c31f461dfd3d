"""Conversion to sRGB from ICC profiles, code points of ITU-T H.273, and chromaticities.

Colours that are not declared by an ICC profile are made into one, so that LittleCMS does all
conversions. It clips colours outside sRGB.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from struct import error, unpack_from

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from search.data.picture import Colours, ImageError

PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow mode of the images to which an ICC profile applies, by the profile's colour space."""
PROBE_LEVELS = 18
"""Number of levels per channel at which a profile is compared with sRGB."""
CURVE_POINTS = 4096
"""Number of points of a curve in a profile."""

XY = tuple[float, float]
"""CIE 1931 chromaticity."""
Levels = NDArray[np.float64]
"""Levels in [0, 1]."""
Curve = Callable[[Levels], Levels]
"""Linear light of encoded levels."""


@dataclass(frozen=True)
class Chromaticities:
    """Primaries and white point of an RGB colour space."""

    red: XY
    green: XY
    blue: XY
    white: XY = (0.3127, 0.3290)


SRGB = Chromaticities((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB = Chromaticities((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
SRGB_PRIMARIES = {1, 2, 5, 6, 7}
"""Codes (ITU-T H.273) of colour primaries that equal those of sRGB or are close to them, and the
code for unspecified primaries."""
WIDE_PRIMARIES = {
    9: ("BT.2020", Chromaticities((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))),
    11: (
        "DCI-P3",
        Chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    ),
    12: ("Display P3", Chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
}
"""Names and chromaticities by the codes of other primaries (ITU-T H.273)."""
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of high dynamic range by code (ITU-T H.273)."""


def srgb_curve(levels: Levels) -> Levels:
    """Linear light by the curve of sRGB (IEC 61966-2-1)."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def bt709_curve(levels: Levels) -> Levels:
    """Linear light by the curve of BT.709, BT.601 and BT.2020 (inverse of the camera's)."""
    return np.where(levels < 0.081, levels / 4.5, ((levels + 0.099) / 1.099) ** (1 / 0.45))


def power_curve(exponent: float) -> Curve:
    """The curve that raises levels to a power."""
    return lambda levels: levels**exponent


TRANSFERS = {
    **dict.fromkeys((1, 6, 14, 15), bt709_curve),
    **dict.fromkeys((2, 13), srgb_curve),
    4: power_curve(2.2),
    5: power_curve(2.8),
    8: power_curve(1.0),
}
"""Curves by the code of transfer characteristics (ITU-T H.273). Unspecified is taken for sRGB."""
SRGB_TRANSFERS = {1, 2, 6, 13, 14, 15}
"""Codes of transfer characteristics that mean sRGB beside its primaries. Encoders label sRGB with
the codes of BT.709, and viewers show it as sRGB."""


def of_code_points(primaries: int, transfer: int) -> Colours | None:
    """Colours of a picture that declares them by code points of ITU-T H.273; None for sRGB.

    Raises ImageError for high dynamic range, and for codes that cannot be converted.
    """
    if transfer in HDR_TRANSFERS:
        raise _high_dynamic_range(transfer)
    if primaries in SRGB_PRIMARIES:
        if transfer in SRGB_TRANSFERS:
            return None
        name, chromaticities = "BT.709", SRGB
    elif primaries in WIDE_PRIMARIES:
        name, chromaticities = WIDE_PRIMARIES[primaries]
    else:
        raise _unknown(primaries, transfer)
    if transfer not in TRANSFERS:
        raise _unknown(primaries, transfer)
    return of_chromaticities(name, chromaticities, TRANSFERS[transfer])


def of_chromaticities(name: str, chromaticities: Chromaticities, curve: Curve) -> Colours | None:
    """Colours of an RGB colour space; None if the chromaticities are not those of real colours."""
    space = chromaticities
    corners = (space.white, space.red, space.green, space.blue)
    if not all(0 <= x <= 1 and 0 < y <= 1 for x, y in corners):
        return None
    white, red, green, blue = ((*xy, 1.0) for xy in corners)
    light = curve(np.linspace(0, 1, CURVE_POINTS))
    table = np.rint(65535 * light.clip(0, 1)).astype(np.uint16)
    with suppress(imagecodecs.CmsError):
        profile = imagecodecs.cms_profile(
            "rgb", whitepoint=white, primaries=(*red, *green, *blue), transferfunction=table
        )
        return Colours(profile, name)
    return None


def adobe_rgb() -> Colours | None:
    """Colours of Adobe RGB (1998), with a gamma of 563/256."""
    return of_chromaticities("Adobe RGB", ADOBE_RGB, power_curve(563 / 256))


def to_srgb(image: Image.Image, colours: Colours) -> tuple[Image.Image, str | None]:
    """Convert an image in mode L, RGB or CMYK to sRGB.

    Returns the image and the name of the colour space that it was converted from. The image is
    returned unchanged, with None, if it is already sRGB, if the profile is for another mode, or if
    LittleCMS cannot use it. Raises ImageError for a profile of high dynamic range.
    """
    _check_dynamic_range(colours.profile)
    with suppress(OSError, ImageCms.PyCMSError):
        profile = ImageCms.ImageCmsProfile(BytesIO(colours.profile))
        mode = PROFILE_MODES.get(profile.profile.xcolor_space)
        described = image.convert("RGB") if (image.mode, mode) == ("L", "RGB") else image
        if described.mode == mode:
            target = ImageCms.createProfile("sRGB")
            transform = ImageCms.buildTransform(profile, target, mode, "RGB")
            if not _is_identity(transform, mode):
                name = colours.name or " ".join(ImageCms.getProfileDescription(profile).split())
                return transform.apply(described), name
    return image, None


def kept_profile(image: Image.Image, colours: Colours) -> bytes:
    """The ICC profile by which the pixels of an image can be shown without conversion.

    It is empty if the file has no profile, if it is not for RGB, or if LittleCMS cannot use it.
    `to_srgb` explains `image`. Raises ImageError for a profile of high dynamic range.
    """
    _check_dynamic_range(colours.profile)
    with suppress(OSError, ImageCms.PyCMSError):
        profile = ImageCms.ImageCmsProfile(BytesIO(colours.profile))
        mode = PROFILE_MODES.get(profile.profile.xcolor_space)
        if colours.name is None and mode == "RGB" and image.mode in ("L", "RGB"):
            return colours.profile
    return b""


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform from `mode` to sRGB changes colours by no more than rounding."""
    levels = np.linspace(0, 255, PROBE_LEVELS).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    probe = Image.fromarray(colours).convert(mode)
    before, after = np.asarray(probe.convert("RGB")), np.asarray(transform.apply(probe))
    return bool(np.abs(after.astype(int) - before).max() <= 1)


def _check_dynamic_range(profile: bytes) -> None:
    """Raise ImageError if the code points in an ICC profile (tag `cicp`) are those of HDR."""
    with suppress(error):
        (tags,) = unpack_from(">L", profile, 128)
        for at in range(132, 132 + 12 * tags, 12):
            name, offset, _ = unpack_from(">4sLL", profile, at)
            if name == b"cicp":
                # The tag's content has a signature and four reserved bytes before the codes.
                (transfer,) = unpack_from("B", profile, offset + 9)
                if transfer in HDR_TRANSFERS:
                    raise _high_dynamic_range(transfer)


def _high_dynamic_range(transfer: int) -> ImageError:
    return ImageError(
        f"has high dynamic range ({HDR_TRANSFERS[transfer]}); convert it to sRGB first"
    )


def _unknown(primaries: int, transfer: int) -> ImageError:
    return ImageError(
        f"declares colours by the codes {primaries} and {transfer} (primaries and transfer of "
        "ITU-T H.273), which cannot be converted; convert it to sRGB first"
    )
