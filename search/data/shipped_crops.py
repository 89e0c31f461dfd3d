"""Crops of CC0 photographs that ship with the package, for runs without their own photographs.

They were cut by `benchmarks/held_out_crops.py`; `held_out/ATTRIBUTION.md` names their sources.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.data.images import read_rgb

CROPS_FOLDER = Path(__file__).parents[1] / "held_out"
NAME = re.compile(r"\d+-(?P<photograph>.+)-\d+x\d+")
"""Pattern of the stem of a crop's file name: the crop's number, the name of its photograph, and its
position in the photograph."""


def find_crops(most: int) -> list[Path]:
    """Files of at most `most` crops, from as many different photographs as possible."""
    return sorted(CROPS_FOLDER.glob("*.webp"))[:most]


def load_crops(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Crops [n, 3, H, W] decoded from n files. All crops must have the same size."""
    return np.stack([read_rgb(path).pixels.transpose(2, 0, 1) for path in paths])


def photographs_of(paths: Sequence[Path]) -> set[str]:
    """Names of the photographs from which the crops in these files were cut."""
    return {found["photograph"] for path in paths if (found := NAME.fullmatch(path.stem))}
