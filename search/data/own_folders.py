"""Folders that the commands write; pictures in them are not taken for photographs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from latency_predictor.errors import UserError
from latency_predictor.writing import write_whole

MARKER = ".codec-search"
"""File in every folder that a command writes."""
MARKER_TEXT = (
    "codec-search wrote this folder. Pictures below it are not taken for photographs. "
    "Delete this file to change that.\n"
)
UNMARKED = (
    {"run.json", "study.journal"}, {"run.json", "trials.parquet"}, {"promotion.json"},
    {"measured.jsonl"}, {"supernet.safetensors", "curves.csv"},
)  # fmt: skip
"""Names of files by which the folders of earlier versions are recognised, which lack the marker:
runs, promoted models, benches and supernets. A folder needs all names of one set."""


SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
"""Suffixes of pictures, in lower case."""


class FolderError(UserError):
    """A folder cannot be one that a command writes."""


def mark(folder: Path) -> None:
    """Mark a folder as written by a command.

    Raises OSError if it cannot be written, and FolderError if it has pictures that no command
    wrote, since the mark would hide them.
    """
    if (folder / MARKER).exists():
        return
    for path in foreign_files(folder):
        if path.suffix.lower() in SUFFIXES:
            raise FolderError(
                f"{folder}: has pictures that codec-search did not write, such as "
                f"{path.relative_to(folder)}; expected a folder without pictures, or a new one"
            )
    write_whole(folder / MARKER, MARKER_TEXT.encode())


def is_own(names: set[str]) -> bool:
    """Whether a command wrote the folder that has files with these names."""
    return MARKER in names or any(known <= names for known in UNMARKED)


def foreign_files(root: Path) -> Iterator[Path]:
    """Files in and below a folder, except those in folders that the commands write.

    Links to folders are followed. A folder to which several paths lead is visited once.
    """
    seen: set[tuple[int, int]] = set()
    for folder, below, names in os.walk(root, followlinks=True):
        place = Path(folder).stat()
        key = (place.st_dev, place.st_ino)
        if key in seen or is_own(set(names)):
            below.clear()
            continue
        seen.add(key)
        below.sort()
        for name in names:
            yield Path(folder, name)
