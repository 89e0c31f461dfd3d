"""Images in files: any format to upright 8-bit sRGB, and sRGB to PNG."""

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
from torch import Tensor

from space.bitstream import MAX_SIDE
from space.writing import write_whole

register_heif_opener()

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "HEIF", "AVIF")
"""Pillow's names of the formats that are read."""
READABLE = "PNG, JPEG, WebP, TIFF, HEIC or AVIF"
LOSSLESS = {"PNG", "TIFF"}
MODES = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK"}
"""Pillow's mode to the one with 8-bit channels and no alpha that holds the same, else RGB."""
PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Colour space of an ICC profile to the mode of the pixels that it describes."""
SRGB_PRIMARIES = {1, 2, 5, 6}
"""Colour primaries (ITU-T H.273) that are sRGB's, nearly, or unspecified."""
HDR_TRANSFERS = {16, 18}
"""Transfer characteristics (ITU-T H.273) PQ and HLG."""
PROBE_LEVELS = 18
"""Levels per channel at which a profile is compared with sRGB."""


class ImageError(ValueError):
    """An image that cannot be read or written."""


@dataclass(frozen=True)
class Decoded:
    """An image as it is meant to be seen."""

    pixels: NDArray[np.uint8]
    """Upright sRGB [H, W, 3], sides of 1 to MAX_SIDE; read-only."""
    lossy: bool
    """Whether the file is of a lossy format and may show its artefacts."""


def read_rgb(path: Path) -> Decoded:
    """Decode an image file, the first image of several.

    Pixels are turned as the EXIF orientation says and converted to sRGB from the embedded ICC
    profile; one that LittleCMS cannot use is ignored, as viewers do. Of 16 bits the high byte is
    kept. Raises ImageError for a path that is no readable image, for real transparency, for 32-bit
    greyscale and floating point, and for more pixels than MAX_SIDE or Pillow's limit allow.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns at half of its limit, which large cameras reach.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as file:
                return _decode(file)
    # Decoders raise errors of every kind on broken files.
    except Exception as error:
        raise ImageError(f"{path}: {_reason(error)}") from error


def to_pillow(image: Tensor) -> Image.Image:
    """8-bit image of a tensor [3, H, W] in [0, 1]."""
    pixels = (image.detach().clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels.cpu().numpy()))


def write_png(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write an image [H, W, 3] as PNG, whole or not at all.

    Raises ImageError for another suffix than .png, OSError where the file system refuses.
    """
    check_png(path)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    write_whole(path, file.getvalue())


def check_png(path: Path) -> None:
    """Raise ImageError for another suffix than .png, before any work is spent."""
    if path.suffix.lower() != ".png":
        raise ImageError(f"{path}: only PNG is written; give a name that ends in .png")


def _decode(file: Image.Image) -> Decoded:
    if max(file.size) > MAX_SIDE:
        raise ImageError(
            f"{file.width}x{file.height} pixels, but sides of at most {MAX_SIDE} are accepted"
        )
    image = _flat(ImageOps.exif_transpose(file))
    if "icc_profile" in file.info:
        with suppress(OSError, ImageCms.PyCMSError):
            image = _to_srgb(image, file.info["icc_profile"])
    elif "nclx_profile" in file.info:
        _check_nclx(file.info["nclx_profile"])
    return Decoded(np.asarray(image.convert("RGB")), lossy=file.format not in LOSSLESS)


def _check_nclx(profile: dict[str, float]) -> None:
    """Raise ImageError where colours that no ICC profile describes are far from sRGB."""
    wide = profile["color_primaries"] not in SRGB_PRIMARIES
    if wide or profile["transfer_characteristics"] in HDR_TRANSFERS:
        raise ImageError("high dynamic range or wide gamut; convert it to sRGB first")


def _reason(error: Exception) -> str:
    """What is wrong with a file, in words for its owner."""
    match error:
        case ImageError():
            return str(error)
        case UnidentifiedImageError():
            return f"not an image that can be read; expected {READABLE}"
        case Image.DecompressionBombError():
            assert Image.MAX_IMAGE_PIXELS is not None
            return f"more than the {2 * Image.MAX_IMAGE_PIXELS:,} pixels that are accepted"
        case OSError(strerror=str(reason)):
            return f"{reason}; expected a file of {READABLE}"
        case _:
            return (
                f"cannot be decoded, perhaps damaged or truncated ({' '.join(str(error).split())})"
            )


def _flat(image: Image.Image) -> Image.Image:
    """The image in mode L, RGB or CMYK. Raises ImageError where that would lose what is seen."""
    if image.mode in ("I", "F"):
        raise ImageError("32-bit greyscale; convert it to 8 or 16 bits per channel first")
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise ImageError(
            "has transparent pixels, which are not supported; flatten it onto a background first"
        )
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert(MODES.get(image.mode, "RGB"))


def _to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """RGB of an image in mode L, RGB or CMYK whose colours are those of an ICC profile.

    The image itself where its colours are sRGB already or the profile is one of other modes.
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
