"""Image files: reading of several formats as upright 8-bit sRGB, and writing of PNG."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from latency_predictor.errors import UserError
from latency_predictor.writing import write_whole
from space.bitstream.container import MAX_SIDE

register_heif_opener()

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "HEIF", "AVIF")
"""Pillow's names of the accepted formats."""
READABLE = "PNG, JPEG, WebP, TIFF, HEIC or AVIF"
"""The accepted formats as named in messages."""
LOSSLESS = {"PNG", "TIFF"}
MODES = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK"}
"""Pillow mode to which an image is converted, by the mode of the image. The new mode has 8-bit
channels and no alpha. Images in a mode that is not listed are converted to RGB."""
PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow mode of the images to which an ICC profile applies, by the profile's colour space."""
SRGB_PRIMARIES = {1, 2, 5, 6}
"""Codes (ITU-T H.273) of colour primaries that equal those of sRGB or are close to them, and the
code for unspecified primaries."""
HDR_TRANSFERS = {16, 18}
"""Codes of the transfer characteristics PQ and HLG (ITU-T H.273)."""
PROBE_LEVELS = 18
"""Number of levels per channel at which a profile is compared with sRGB."""


class ImageError(UserError):
    """The image cannot be read or written."""


@dataclass(frozen=True)
class Decoded:
    """A decoded image, upright and in sRGB."""

    pixels: NDArray[np.uint8]
    """sRGB [H, W, 3], with sides of 1 to MAX_SIDE; read-only."""
    lossy: bool
    """Whether the file has a lossy format, so that the pixels may have coding artefacts."""


def read_rgb(path: Path) -> Decoded:
    """Decode an image file. If the file contains several images, the first is decoded.

    Pixels are rotated by the EXIF orientation and converted to sRGB from the embedded ICC profile.
    A profile that LittleCMS cannot use is ignored, as viewers do. 16-bit samples are reduced to
    their high byte. Raises ImageError if the file cannot be read, if the image has transparent
    pixels or 32-bit samples, if it declares a wide gamut or high dynamic range without an ICC
    profile, or if it is larger than MAX_SIDE or Pillow's limit.
    """
    try:
        with warnings.catch_warnings():
            # Pillow already warns at half of its limit, which photographs of large cameras reach.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as file:
                return _decode(file)
    # Decoders raise many kinds of errors on broken files.
    except Exception as error:
        raise ImageError(f"{path}: {_reason(error)}") from error


def write_png(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write an image [H, W, 3] as PNG, atomically.

    Raises ImageError if the suffix is not .png, and OSError if the file cannot be written.
    """
    check_png(path)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    write_whole(path, file.getvalue())


def check_png(path: Path) -> None:
    """Raise ImageError if the suffix is not .png."""
    if path.suffix.lower() != ".png":
        raise ImageError(f"{path}: only PNG is written; expected a name that ends in .png")


def _decode(file: Image.Image) -> Decoded:
    if max(file.size) > MAX_SIDE:
        raise ImageError(f"{file.width}x{file.height} pixels; expected sides of at most {MAX_SIDE}")
    image = _flat(ImageOps.exif_transpose(file))
    if "icc_profile" in file.info:
        with suppress(OSError, ImageCms.PyCMSError):
            image = _to_srgb(image, file.info["icc_profile"])
    elif "nclx_profile" in file.info:
        _check_nclx(file.info["nclx_profile"])
    return Decoded(np.asarray(image.convert("RGB")), lossy=file.format not in LOSSLESS)


def _check_nclx(profile: dict[str, float]) -> None:
    """Raise ImageError if an image without an ICC profile has a colour space far from sRGB."""
    wide = profile["color_primaries"] not in SRGB_PRIMARIES
    if wide or profile["transfer_characteristics"] in HDR_TRANSFERS:
        raise ImageError("has high dynamic range or a wide gamut; convert it to sRGB first")


def _reason(error: Exception) -> str:
    """Message for the user about an error while reading a file."""
    match error:
        case ImageError():
            return str(error)
        case UnidentifiedImageError():
            return f"not a readable image; expected {READABLE}"
        case Image.DecompressionBombError():
            assert Image.MAX_IMAGE_PIXELS is not None
            return f"too large; expected at most {2 * Image.MAX_IMAGE_PIXELS:,} pixels"
        case OSError(strerror=str(reason)):
            return f"{reason}; expected a file of {READABLE}"
        case _:
            return (
                f"cannot be decoded, perhaps damaged or truncated ({' '.join(str(error).split())})"
            )


def _flat(image: Image.Image) -> Image.Image:
    """Convert to mode L, RGB or CMYK. Raises ImageError if that would change what is visible."""
    if image.mode in ("I", "F"):
        raise ImageError("is 32-bit greyscale; convert it to 8 or 16 bits per channel first")
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise ImageError(
            "has transparent pixels, which are not supported; flatten it onto a background first"
        )
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert(MODES.get(image.mode, "RGB"))


def _to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """Convert an image in mode L, RGB or CMYK to sRGB from the colours of an ICC profile.

    The image is returned unchanged if it is already sRGB or if the profile is for another mode.
    Raises OSError or PyCMSError for a profile that LittleCMS cannot use.
    """
    profile = ImageCms.ImageCmsProfile(BytesIO(icc))
    mode = PROFILE_MODES.get(profile.profile.xcolor_space)
    described = image.convert("RGB") if (image.mode, mode) == ("L", "RGB") else image
    if described.mode != mode:
        return image
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    return image if _is_identity(transform, mode) else transform.apply(described)


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform from `mode` to sRGB changes colours by no more than rounding."""
    levels = np.linspace(0, 255, PROBE_LEVELS).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    probe = Image.fromarray(colours).convert(mode)
    before, after = np.asarray(probe.convert("RGB")), np.asarray(transform.apply(probe))
    return bool(np.abs(after.astype(int) - before).max() <= 1)
