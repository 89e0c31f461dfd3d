"""Photographs: found in a folder or in installed packages, decoded, split and cropped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

register_heif_opener()

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
BUILT_IN = {
    "skimage.data": (
        "astronaut.png",
        "chelsea.png",
        "coffee.png",
        "motorcycle_left.png",
        "rocket.jpg",
    ),
    "sklearn.datasets.images": ("china.jpg", "flower.jpg"),
}
"""Photographs that scikit-image and scikit-learn carry, for runs without `data.root`."""
HALVED_FROM = 1024
"""JPEG files at least this wide and high are halved, which sheds their own artefacts."""
CROP = 256
"""Side of all crops: smaller ones leave the hyper-latent less than 4x4 and teach it borders."""

Crops = NDArray[np.uint8]
"""Crops [n, 3, CROP, CROP]."""


class DataError(ValueError):
    """Photographs that a search cannot use."""


@dataclass(frozen=True)
class Photographs:
    """Crops to train on and crops, of other photographs, to select by."""

    train: Crops
    select: Crops
    used: int
    unreadable: tuple[str, ...]
    """Names of files that did not decode."""
    small: tuple[str, ...]
    """Names of photographs smaller than a crop."""

    @property
    def digest(self) -> str:
        """Hash of all crops, by which a continued run knows that its data are the same."""
        return hashlib.sha256(self.train.tobytes() + self.select.tobytes()).hexdigest()[:16]


def load_photographs(
    root: str | None, max_photographs: int, train_crops: int, select_crops: int
) -> Photographs:
    """Read at most `max_photographs` below `root` (None: the built-in ones) and crop them.

    A quarter of the photographs, chosen by a hash of their content, is kept for selection. Raises
    DataError where the folder is missing or leaves fewer than two photographs.
    """
    images: dict[str, Image.Image] = {}
    unreadable, small = [], []
    for path in _spread(find_photographs(root), max_photographs):
        try:
            content, image = _decode(path)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError):
            unreadable.append(path.name)
            continue
        if min(image.size) < CROP:
            small.append(path.name)
        else:
            images[content] = image
    if len(images) < 2:
        raise DataError(
            f"{_where(root)}: {len(images)} usable photographs, at least 2 are needed "
            f"({len(unreadable)} unreadable, {len(small)} smaller than {CROP}x{CROP})"
        )
    ordered = [images[content] for content in sorted(images)]
    held_out = max(1, round(len(ordered) / 4))
    return Photographs(
        train=_crop(ordered[held_out:], train_crops),
        select=_crop(ordered[:held_out], select_crops),
        used=len(ordered),
        unreadable=tuple(unreadable),
        small=tuple(small),
    )


def find_photographs(root: str | None) -> list[Path]:
    """Image files below `root`, sorted, or the built-in ones. Raises DataError for none."""
    if root is None:
        return [Path(str(files(p) / name)) for p, names in BUILT_IN.items() for name in names]
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise DataError(f"{_where(root)}: no such folder")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise DataError(
            f"{_where(root)}: no photographs (looked for {', '.join(sorted(SUFFIXES))})"
        )
    return paths


def _where(root: str | None) -> str:
    return "built-in photographs" if root is None else f"data.root={root}"


def _spread(paths: list[Path], most: int) -> list[Path]:
    """At most `most` of the paths, evenly spread over the list."""
    chosen = np.linspace(0, len(paths) - 1, num=min(most, len(paths))).round().astype(int)
    return [paths[i] for i in chosen]


def _decode(path: Path) -> tuple[str, Image.Image]:
    """Hash of the file and its upright RGB image, halved where it is a large JPEG."""
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file).convert("RGB")
        lossy = file.format != "PNG"
    if lossy and min(image.size) >= HALVED_FROM:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    return content, image


def _crop(images: list[Image.Image], crops: int) -> Crops:
    """Crops in turn from each image, at seeded random places."""
    rng = np.random.default_rng(0)
    pixels = [np.asarray(image).transpose(2, 0, 1) for image in images]
    out = np.empty((crops, 3, CROP, CROP), dtype=np.uint8)
    for i in range(crops):
        source = pixels[i % len(pixels)]
        y, x = (int(rng.integers(0, side - CROP + 1)) for side in source.shape[1:])
        out[i] = source[:, y : y + CROP, x : x + CROP]
    return out
