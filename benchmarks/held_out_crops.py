"""The crops that the package ships to select by, cut from CC0 photographs.

    python benchmarks/held_out_crops.py PHOTOS

PHOTOS contains the photographs named below as `budgie-NAME.jpg`. Each is scaled to half its size
with antialiasing, or to a quarter where artefacts of JPEG would remain. Of 40 random places, those
at certain quantiles of detail are taken, so that smooth and busy ones are included; two crops
overlap by at most half. Replaces the crops in search/held_out by lossless files and prints a line
per photograph. Equal photographs give equal crops. Takes two minutes.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from search.data.images import read_rgb
from search.data.photographs import CROP
from search.data.shipped_crops import CROPS_FOLDER

NAMES = (
    "beacon-street-sunset", "blue-periwinkle", "canyon-wren", "casa-mila", "high-trestle-trail",
    "lake-sherburne", "oakland-zoo-otters", "perched-osprey", "piazza-gae-aulenti",
    "singaporean-cityscape", "tea-gardens", "the-spices-of-life",
)  # fmt: skip
"""The photographs that are used, 12 of the collection's 17 files. Of the others, ocean-waves is a
woodcut, and valley-midnight and waves-midnight are drawings; extreme-desert-hike shows the blocks
of its JPEG even at a quarter of its size; and the EXIF data of roman-colosseum reserve all rights,
although the collection says otherwise."""
CROPS = 48
"""Number of crops that ship."""
PLACES = 40
"""Number of random places per photograph."""
QUANTILES = (0.2, 0.6, 0.9, 0.4)
"""Quantiles of detail at which places are taken. Each photograph begins with another of them."""
LEAST_CONTRAST = 13
"""Standard deviation of luma, in levels of 255, below which a place is nearly uniform."""
BLOCK = 8
"""Side of JPEG's blocks in pixels."""
COARSE_STEPS = 2500
"""Sum of a JPEG's 64 quantisation steps of luma from which half the size is not enough, whether or
not its grid of blocks is visible. It corresponds to quality 66."""
VISIBLE_GRID, VISIBLE_GRID_IN_CROP = 1.05, 1.1
"""Result of `grid_strength` above which the grid of blocks is visible, in a photograph and in a
crop. The estimate from a crop is less exact."""


@dataclass(frozen=True)
class Cut:
    """A crop, and where it lies in the reduced photograph."""

    name: str
    y: int
    x: int
    pixels: NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of the photographs")
    photos = parser.parse_args().photos
    cuts = [cuts_of(photos / f"budgie-{name}.jpg", name, i) for i, name in enumerate(NAMES)]
    CROPS_FOLDER.mkdir(exist_ok=True)
    for old in CROPS_FOLDER.glob("*.webp"):
        old.unlink()
    in_turn = [cut for turn in zip(*cuts, strict=True) for cut in turn]
    for number, cut in enumerate(in_turn[:CROPS]):
        path = CROPS_FOLDER / f"{number:02d}-{cut.name}-{cut.x}x{cut.y}.webp"
        Image.fromarray(cut.pixels).save(path, lossless=True, quality=100, method=6)


def cuts_of(path: Path, name: str, turn: int) -> list[Cut]:
    """Crops at all quantiles, of which the one with the index `turn` comes first."""
    pixels, factor = reduced(path)
    seed = int(hashlib.sha256(path.read_bytes()).hexdigest()[:8], 16)
    places = places_of(luma(pixels), BLOCK // factor, seed)
    print(f"{name}: {pixels.shape[1]}x{pixels.shape[0]} after division by {factor}")
    chosen: list[tuple[int, int]] = []
    for k in range(len(QUANTILES)):
        wanted = QUANTILES[(turn + k) % len(QUANTILES)] * (PLACES - 1)
        nearest = [places[i] for i in np.argsort(np.abs(np.arange(PLACES) - wanted), kind="stable")]
        chosen.append(next(place for place in nearest if apart(place, chosen)))
    return [Cut(name, y, x, pixels[y : y + CROP, x : x + CROP]) for y, x in chosen]


def reduced(path: Path) -> tuple[NDArray[np.uint8], int]:
    """The photograph [H, W, 3] at half or a quarter of its size, and the divisor."""
    whole = Image.fromarray(read_rgb(path).pixels)
    with Image.open(path) as file:
        assert isinstance(file, JpegImageFile)
        coarse = sum(file.quantization[0]) >= COARSE_STEPS
    half = divided(whole, 2)
    if coarse or grid_strength(luma(half), BLOCK // 2) > VISIBLE_GRID:
        return divided(whole, 4), 4
    return half, 2


def divided(image: Image.Image, factor: int) -> NDArray[np.uint8]:
    """The image [H, W, 3] with its sides divided by a factor."""
    size = image.width // factor, image.height // factor
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def luma(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma [H, W] of an image [H, W, 3], both from 0 to 255."""
    return np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)


def grid_strength(levels: NDArray[np.float32], period: int) -> float:
    """Ratio of neighbours' differences across blocks of `period` pixels to those inside.

    `levels` [H, W] begin with a whole block.
    """
    ratios = []
    for axis in (0, 1):
        changes = np.abs(np.diff(levels, axis=axis)).mean(1 - axis)
        *inside, across = (changes[k::period].mean() for k in range(period))
        ratios.append(across / np.median(inside))
    return float(max(ratios))


def places_of(levels: NDArray[np.float32], period: int, seed: int) -> list[tuple[int, int]]:
    """Random places (y, x) in `levels` [H, W], by rising detail.

    The crop at a place is not uniform, and JPEG's grid is not visible in it.
    """
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, int], float] = {}
    while len(found) < PLACES:
        # Places lie where blocks of the JPEG begin, as `grid_strength` assumes.
        y, x = (period * int(rng.integers(0, (side - CROP) // period + 1)) for side in levels.shape)
        crop = levels[y : y + CROP, x : x + CROP]
        if crop.std() >= LEAST_CONTRAST and grid_strength(crop, period) <= VISIBLE_GRID_IN_CROP:
            changes = [np.abs(np.diff(crop, axis=axis)).mean() for axis in (0, 1)]
            found[y, x] = float(np.mean(changes))
    return sorted(found, key=found.__getitem__)


def apart(place: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    """Whether the crop at `place` overlaps each of those at `others` by at most half."""
    return all(max(abs(place[0] - y), abs(place[1] - x)) >= CROP // 2 for y, x in others)


if __name__ == "__main__":
    main()
