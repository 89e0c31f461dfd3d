"""Crops that ship with the package: of CC0 photographs, for runs without photographs of their own.

`benchmarks/held_out_crops.py` cut them; `held_out/ATTRIBUTION.md` says what they are of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.images import read_rgb

FOLDER = Path(__file__).parent / "held_out"
NAME = re.compile(r"\d+-(?P<photograph>.+)-\d+x\d+")
"""Stem of a file: its turn, its photograph, and its place there."""


def find_crops(most: int) -> list[Path]:
    """Files of at most `most` crops, of as many photographs as so many can be."""
    return sorted(FOLDER.glob("*.webp"))[:most]


def load_crops(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Crops [n, 3, H, W] of one size."""
    return np.stack([read_rgb(path).pixels.transpose(2, 0, 1) for path in paths])


def photographs_of(paths: Sequence[Path]) -> set[str]:
    """Names of the photographs that the crops were cut from."""
    return {found["photograph"] for path in paths if (found := NAME.fullmatch(path.stem))}
