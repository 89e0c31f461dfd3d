"""The crops that the package ships to select by, cut from CC0 photographs.

    python benchmarks/held_out_crops.py PHOTOS

PHOTOS holds the photographs named below as `budgie-NAME.jpg`. They are halved, or quartered where
halving leaves artefacts of JPEG, antialiased; of 40 random places each, those are taken that lie at
quantiles of detail, smooth and busy ones alike, and share at most half. Replaces the crops in
search/held_out, losslessly coded, and prints a line per photograph. Equal photographs give equal
crops. Takes two minutes.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.data.images import read_rgb
from search.data.photographs import CROP
from search.data.shipped_crops import FOLDER

NAMES = (
    "beacon-street-sunset", "blue-periwinkle", "canyon-wren", "casa-mila", "high-trestle-trail",
    "lake-sherburne", "oakland-zoo-otters", "perched-osprey", "piazza-gae-aulenti",
    "singaporean-cityscape", "tea-gardens", "the-spices-of-life",
)  # fmt: skip
"""Photographs. Five of the collection's 17 files are left out: ocean-waves is a woodcut,
valley-midnight and waves-midnight are drawings, extreme-desert-hike shows the blocks of its JPEG
even at a quarter of its size, and the EXIF of roman-colosseum reserves all rights."""
CROPS = 48
PLACES = 40
"""Random places per photograph to choose from."""
QUANTILES = (0.2, 0.6, 0.9, 0.4)
"""Quantiles of detail at which places are taken; each photograph begins with another of them."""
LEAST_CONTRAST = 13
"""Standard deviation of luma, in levels of 255, below which a place is nearly uniform."""
BLOCK = 8
"""Side of JPEG's blocks."""
COARSE = 2500
"""Sum of the 64 luma quantisation steps from which a JPEG is quartered in any case (quality 66)."""
SEEN, SEEN_IN_CROP = 1.05, 1.1
"""Ratio of differences across block borders to those inside blocks, above which the grid counts as
visible: in a photograph, and in a crop, where the ratio is less certain."""


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
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.webp"):
        old.unlink()
    in_turn = [cut for turn in zip(*cuts, strict=True) for cut in turn]
    for number, cut in enumerate(in_turn[:CROPS]):
        path = FOLDER / f"{number:02d}-{cut.name}-{cut.x}x{cut.y}.webp"
        Image.fromarray(cut.pixels).save(path, lossless=True, quality=100, method=6)


def cuts_of(path: Path, name: str, turn: int) -> list[Cut]:
    """As many crops as there are quantiles, the first of them at quantile `turn`."""
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
    """Half of the photograph [H, W, 3], or a quarter where a half would show JPEG; the divisor."""
    whole = Image.fromarray(read_rgb(path).pixels)
    with Image.open(path) as file:
        coarse = sum(file.quantization[0]) >= COARSE
    half = divided(whole, 2)
    if coarse or grid(luma(half), BLOCK // 2) > SEEN:
        return divided(whole, 4), 4
    return half, 2


def divided(image: Image.Image, factor: int) -> NDArray[np.uint8]:
    size = image.width // factor, image.height // factor
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def luma(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)


def grid(levels: NDArray[np.float32], period: int) -> float:
    """How much more neighbours differ across than inside blocks of `period` pixels, of [H, W]."""
    ratios = []
    for axis in (0, 1):
        changes = np.abs(np.diff(levels, axis=axis)).mean(1 - axis)
        *inside, across = (changes[k::period].mean() for k in range(period))
        ratios.append(across / np.median(inside))
    return float(max(ratios))


def places_of(levels: NDArray[np.float32], period: int, seed: int) -> list[tuple[int, int]]:
    """Random places (y, x) of [H, W] with something to see but JPEG's grid, by rising detail."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, int], float] = {}
    while len(found) < PLACES:
        # Where blocks of the JPEG begin, so that `grid` knows where to look.
        y, x = (period * int(rng.integers(0, (side - CROP) // period + 1)) for side in levels.shape)
        crop = levels[y : y + CROP, x : x + CROP]
        if crop.std() >= LEAST_CONTRAST and grid(crop, period) <= SEEN_IN_CROP:
            changes = [np.abs(np.diff(crop, axis=axis)).mean() for axis in (0, 1)]
            found[y, x] = float(np.mean(changes))
    return sorted(found, key=found.__getitem__)


def apart(place: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    """Whether the crop at `place` shares at most half with each of those at the others."""
    return all(max(abs(place[0] - y), abs(place[1] - x)) >= CROP // 2 for y, x in others)


if __name__ == "__main__":
    main()
