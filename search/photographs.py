"""Photographs: found in a folder or in installed packages, decoded, split and cropped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.images import ImageError, read_rgb

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
"""Lossy files at least this wide and high are halved, which sheds their own artefacts."""
CROP = 256
"""Side of all crops: smaller ones leave the hyper-latent less than 4x4 and teach it borders."""
SELECT_SHARE = 0.25
"""Share of the photographs that is kept from training, for selection."""

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
    """Names of files that did not decode or have transparency."""
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

    A quarter of the photographs, chosen by a hash of their content, is kept for selection. One
    photograph is in memory at a time. There are fewer crops than asked for where files are
    skipped. Raises DataError where the folder is missing or has fewer than two photographs.
    """
    paths = _spread(find_photographs(root), max_photographs)
    held_out = max(1, round(SELECT_SHARE * len(paths)))
    each = max(ceil(train_crops / max(1, len(paths) - held_out)), ceil(select_crops / held_out))
    crops: dict[str, Crops] = {}
    unreadable, small = [], []
    for path in paths:
        try:
            content, pixels = _decode(path)
        except ImageError:
            unreadable.append(path.name)
            continue
        if min(pixels.shape[:2]) < CROP:
            small.append(path.name)
        else:
            crops[content] = _crop(pixels, each, seed=int(content[:8], 16))
    if len(crops) < 2:
        raise DataError(
            f"{_where(root)}: {len(crops)} usable photographs, at least 2 are needed "
            f"({len(unreadable)} unreadable, {len(small)} smaller than {CROP}x{CROP})"
        )
    ordered = np.stack([crops[content] for content in sorted(crops)])
    held_out = max(1, round(SELECT_SHARE * len(ordered)))
    return Photographs(
        train=_in_turn(ordered[held_out:])[:train_crops],
        select=_in_turn(ordered[:held_out])[:select_crops],
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
    return "built-in photographs" if root is None else f"folder {root}"


def _spread(paths: list[Path], most: int) -> list[Path]:
    """At most `most` of the paths, evenly spread over the list."""
    chosen = np.linspace(0, len(paths) - 1, num=min(most, len(paths))).round().astype(int)
    return [paths[i] for i in chosen]


def _decode(path: Path) -> tuple[str, NDArray[np.uint8]]:
    """Hash of the file and its upright RGB pixels [H, W, 3], halved where lossy and large."""
    decoded = read_rgb(path)
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    height, width, _ = decoded.pixels.shape
    if not decoded.lossy or min(height, width) < HALVED_FROM:
        return content, decoded.pixels
    image = Image.fromarray(decoded.pixels)
    return content, np.asarray(image.resize((width // 2, height // 2), Image.Resampling.LANCZOS))


def _crop(pixels: NDArray[np.uint8], crops: int, seed: int) -> Crops:
    """Crops of one photograph at random places."""
    rng = np.random.default_rng(seed)
    out = np.empty((crops, 3, CROP, CROP), dtype=np.uint8)
    for crop in out:
        y, x = (int(rng.integers(0, side - CROP + 1)) for side in pixels.shape[:2])
        crop[:] = pixels[y : y + CROP, x : x + CROP].transpose(2, 0, 1)
    return out


def _in_turn(crops: NDArray[np.uint8]) -> Crops:
    """Crops [photographs, each, ...] as one list that takes one of every photograph in turn."""
    return crops.swapaxes(0, 1).reshape(-1, 3, CROP, CROP)
