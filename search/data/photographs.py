"""Photographs from a folder or from installed packages: finding, splitting, decoding, cropping."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from math import ceil
from pathlib import Path

import imagecodecs
import numpy as np
import PIL
import pillow_heif
import tifffile
from numpy.typing import NDArray
from PIL import Image

from latency_predictor.errors import UserError
from latency_predictor.printable import printable
from search.config.paths import expanded
from search.data import shipped_crops
from search.data.crop_cache import Prepared, cached
from search.data.images import Decoded, ImageError, TransparentError, read_rgb
from search.data.own_folders import MARKER, SUFFIXES, foreign_files, is_own

BUILT_IN_PHOTOGRAPHS = {
    "skimage.data": (
        "astronaut.png",
        "chelsea.png",
        "coffee.png",
        "motorcycle_left.png",
        "rocket.jpg",
    ),
    "sklearn.datasets.images": ("china.jpg", "flower.jpg"),
}
"""Photographs included in scikit-image and scikit-learn, by module. Runs without `data.root` train
on these photographs."""
HALVED_FROM = 1024
"""Lossily coded photographs are halved, to reduce artefacts, if both sides have at least this
length in px.

Halving brings a JPEG of quality 75, 85 or 95 closer to its source by 4.1, 4.1 or 3.5 dB (mean of 26
halved photographs, coded with 4:2:0). Halving also restores the full colour resolution of 4:2:0.
Quartering would gain another 3.5 to 4.5 dB, but the crops would lack the softness of the
12-megapixel images that are coded. The filter is Lanczos with antialiasing."""
CROP = 256
"""Side of all crops, in px. The hyper-latent of a smaller crop would have less than 4x4 positions,
and would mostly learn borders."""
SELECT_BELOW, REPORT_BELOW = 0.25, 0.4
"""Thresholds on a photograph's hash, taken as a number in [0, 1). A photograph below the first is
used for selection. A photograph from the first to the second is used for the report. All others are
used for training."""
UNOPENED = "0" * 64
"""Value in place of the content's hash for a file that cannot be opened."""

NAMED = 3
"""Greatest number of skipped files that are named to the user."""

SHOWN_CROPS = 3
"""Number of shipped crops kept for the report if the run has no folder of photographs."""

CROP_CACHE = ".crops"
"""Folder of prepared crops, shared by all runs below `run.root`. It may be deleted at any time."""

Crops = NDArray[np.uint8]
"""Crops [n, 3, CROP, CROP]."""


class DataError(UserError):
    """The photographs are missing or too few are usable."""


@dataclass(frozen=True)
class Photographs:
    """Training crops, selection crops of other photographs, and image files held out from both.

    The crops may be read-only and memory-mapped.
    """

    train: Crops
    select: Crops
    report: tuple[Path, ...]
    """Image files used neither for training nor for selection, but for a final evaluation. They are
    photographs from the folder, or shipped crops if there is no folder."""
    used: int
    """Number of distinct photographs that are used. It includes those from which the shipped crops
    in `select` were cut."""
    unreadable: tuple[str, ...]
    """Names of files that could not be decoded."""
    transparent: tuple[str, ...]
    """Names of files with transparent pixels."""
    small: tuple[str, ...]
    """Names of photographs smaller than a crop."""
    digest: str
    """Hash of all crops and of the photographs held out for the report. A run can only be continued
    with an equal hash."""
    converted: int = 0
    """Number of photographs that were converted to sRGB from other colours."""
    held_out: int = 0
    """Number of photographs from which the shipped crops in `select` were cut; 0 if a folder is
    used."""

    @property
    def description(self) -> str:
        """Phrase that tells the user how many photographs are used."""
        if not self.held_out:
            return f"{self.used} photographs"
        return (
            f"{self.used - self.held_out} photographs for training and {len(self.select)} held-out "
            f"crops of {self.held_out} CC0 photographs for measuring"
        )

    @property
    def notices(self) -> list[str]:
        """Lines that tell the user which files are skipped, and how many were converted."""
        skipped = (
            ("unreadable", self.unreadable),
            ("transparent", self.transparent),
            ("too small", self.small),
        )
        lines = [f"Skipped {len(names)} {why}: {_some(names)}" for why, names in skipped if names]
        if self.converted:
            lines.append(
                f"Photographs converted to sRGB: {self.converted}. Colours outside sRGB were "
                "clipped."
            )
        return lines


@dataclass(frozen=True)
class Split:
    """Sorted hashes of photographs, by the use of the photographs."""

    select: list[str]
    report: list[str]
    train: list[str]


def load_photographs(
    root: str | None,
    max_photographs: int,
    train_crops: int,
    select_crops: int,
    cache: Path | None = None,
) -> Photographs:
    """Crop at most `max_photographs` photographs below `root`, and split them by content.

    Without `root`, all built-in photographs are used for training, the first shipped crops for
    selection, and the next few shipped crops for the report.

    With a folder `cache`, photographs are decoded only once for all processes and runs. A file that
    was renamed but not changed is recognised. There may be fewer crops than requested if files are
    skipped, or if not enough crops are shipped. Raises DataError if `root` is missing or has fewer
    than two usable photographs.
    """
    contents = _by_content(_spread(find_photographs(root), max_photographs))
    shipped = shipped_crops.find_crops(select_crops + SHOWN_CROPS) if root is None else []
    held_out, kept = shipped[:select_crops], shipped[select_crops:]

    def prepare() -> Prepared:
        return _prepare(contents, train_crops, select_crops, held_out, _where(root))

    key = _key(contents, train_crops, select_crops, held_out)
    prepared = cached(cache, key, prepare) if cache else prepare()
    measured_on = len(shipped_crops.photographs_of(held_out))
    return Photographs(
        train=prepared.train,
        select=prepared.select,
        report=tuple(kept or (contents[content][0] for content in prepared.report)),
        used=len(prepared.used) + measured_on,
        unreadable=_names(contents, prepared.unreadable),
        transparent=_names(contents, prepared.transparent),
        small=_names(contents, prepared.small),
        converted=len(prepared.converted),
        digest=prepared.digest,
        held_out=measured_on,
    )


def find_photographs(root: str | None) -> list[Path]:
    """Image files below `root`, sorted by path, or the built-in photographs if `root` is None.

    Links to folders are followed. Folders that the commands write are left out. Raises DataError if
    the folder `root` is missing or contains no photographs.
    """
    if root is None:
        return [
            Path(str(files(p) / name))
            for p, names in BUILT_IN_PHOTOGRAPHS.items()
            for name in names
        ]
    if not root.strip():
        raise DataError(f"folder of photographs '{root}': expected the name of a folder")
    folder = expanded(root)
    if not folder.is_dir():
        kind = "is a file; expected a folder" if folder.exists() else "no such folder"
        raise DataError(f"{_where(root)}: {kind}")
    if is_own({path.name for path in folder.iterdir()}):
        raise DataError(
            f"{_where(root)}: was written by codec-search (it has a file {MARKER} or a run's "
            "files), so that pictures in it are not taken for photographs; expected another folder"
        )
    paths = sorted(p for p in foreign_files(folder) if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise DataError(
            f"{_where(root)}: no photographs; expected files with suffix "
            f"{', '.join(sorted(SUFFIXES))}"
        )
    return paths


def split_photographs(contents: Iterable[str]) -> Split:
    """Split photographs into three sets by `contents`, the hashes of their content.

    Equal files are in the same set. Thresholds on the hash keep every photograph in its set when
    others are added. In a small folder, too few photographs may lie below the thresholds. A set
    that lacks photographs then takes those with the smallest hashes from the next set. Selection
    gets at least one photograph, and at least two if there are six or more. The report gets at
    least one if there are three or more. The photographs taken in this way may change sets as
    others are added, until the thresholds alone suffice. Training keeps at least one photograph.
    """
    ordered = sorted(set(contents))
    positions = [int(content[:8], 16) / 16**8 for content in ordered]
    reported = 1 if len(ordered) > 2 else 0
    selected = 2 if len(ordered) > 5 else 1
    first = max(bisect_left(positions, SELECT_BELOW), selected)
    first = min(first, len(ordered) - 1 - reported)
    second = max(bisect_left(positions, REPORT_BELOW), first + reported)
    second = min(second, len(ordered) - 1)
    return Split(ordered[:first], ordered[first:second], ordered[second:])


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names[:NAMED])) + (" ..." if len(names) > NAMED else "")


def _where(root: str | None) -> str:
    return "built-in photographs" if root is None else f"folder {root}"


def _spread(paths: list[Path], most: int) -> list[Path]:
    """At most `most` of the paths, evenly spaced in the list."""
    chosen = np.linspace(0, len(paths) - 1, num=min(most, len(paths))).round().astype(int)
    return [paths[i] for i in chosen]


def _by_content(paths: list[Path]) -> dict[str, list[Path]]:
    """Files grouped by the SHA-256 of their content."""
    contents: dict[str, list[Path]] = {}
    for path in paths:
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            content = UNOPENED
        contents.setdefault(content, []).append(path)
    return contents


def _names(contents: dict[str, list[Path]], skipped: list[str]) -> tuple[str, ...]:
    return tuple(path.name for content in skipped for path in contents[content])


def _key(
    contents: Iterable[str], train_crops: int, select_crops: int, held_out: Iterable[Path]
) -> str:
    """Hash of everything that prepared crops depend on, including code and shipped crops."""
    code = sorted(Path(__file__).parent.glob("*.py"))
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (*code, *held_out)]
    libraries = [library.__version__ for library in (np, PIL, pillow_heif, tifffile, imagecodecs)]
    facts = [hashes, libraries, train_crops, select_crops, sorted(contents)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _prepare(
    contents: dict[str, list[Path]],
    train_crops: int,
    select_crops: int,
    held_out: list[Path],
    where: str,
) -> Prepared:
    """Decode, split and crop photographs one at a time.

    With shipped crops `held_out` for selection, all photographs are used for training. Raises
    DataError if fewer than two are usable.
    """
    expected = _parts(contents, held_out)
    asked = ((train_crops, expected.train), (select_crops, expected.select))
    each = max(ceil(total / len(part)) for total, part in asked if part)
    crops: dict[str, Crops] = {}
    converted: list[str] = []
    skipped: dict[str, list[str]] = {"unreadable": [], "transparent": [], "small": []}
    for content, paths in contents.items():
        decoded = _usable(paths[0])
        if isinstance(decoded, str):
            skipped[decoded].append(content)
            continue
        crops[content] = _crop(decoded.pixels, each, seed=int(content[:8], 16))
        if decoded.converted_from:
            converted.append(content)
    if len(crops) < 2:
        count = {reason: len(_names(contents, names)) for reason, names in skipped.items()}
        raise DataError(
            f"{where}: {len(crops)} usable photographs; expected at least 2 "
            f"({count['unreadable']} unreadable, {count['transparent']} transparent, "
            f"{count['small']} smaller than {CROP}x{CROP})"
        )
    parts = _parts(crops, held_out)
    select = [crops[content] for content in parts.select]
    return Prepared(
        train=_in_turn([crops[content] for content in parts.train], train_crops),
        select=shipped_crops.load_crops(held_out) if held_out else _in_turn(select, select_crops),
        used=sorted(crops),
        report=parts.report,
        converted=converted,
        **skipped,
    )


def _parts(contents: Iterable[str], held_out: list[Path]) -> Split:
    """The split of a folder; with shipped crops `held_out`, all photographs are for training."""
    return Split([], [], sorted(contents)) if held_out else split_photographs(contents)


def _usable(path: Path) -> Decoded | str:
    """A photograph, or why it cannot be used: the name of a field of Prepared."""
    try:
        decoded = _decode(path)
    except TransparentError:
        return "transparent"
    except ImageError:
        return "unreadable"
    return decoded if min(decoded.pixels.shape[:2]) >= CROP else "small"


def _decode(path: Path) -> Decoded:
    """Upright RGB pixels [H, W, 3]; large lossy images are halved."""
    decoded = read_rgb(path)
    height, width, _ = decoded.pixels.shape
    if not decoded.lossy or min(height, width) < HALVED_FROM:
        return decoded
    image = Image.fromarray(decoded.pixels)
    halved = image.resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    return replace(decoded, pixels=np.asarray(halved))


def _crop(pixels: NDArray[np.uint8], crops: int, seed: int) -> Crops:
    """Crops of one photograph at random positions."""
    rng = np.random.default_rng(seed)
    out = np.empty((crops, 3, CROP, CROP), dtype=np.uint8)
    for crop in out:
        y, x = (int(rng.integers(0, side - CROP + 1)) for side in pixels.shape[:2])
        crop[:] = pixels[y : y + CROP, x : x + CROP].transpose(2, 0, 1)
    return out


def _in_turn(photographs: list[Crops], most: int) -> Crops:
    """At most `most` crops, taken from the photographs in turn."""
    return np.stack([crop for turn in zip(*photographs, strict=True) for crop in turn][:most])
