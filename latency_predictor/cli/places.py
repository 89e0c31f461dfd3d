"""Checks of the places that commands write to, before any work is done."""

from __future__ import annotations

import os
from pathlib import Path


def check_file(path: Path, *inputs: Path) -> None:
    """Raise OSError if no file can be written at `path`, or if `path` is one of `inputs`."""
    if path.resolve() in [other.resolve() for other in inputs]:
        raise FileExistsError(f"{path}: is an input file and will not be replaced")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; expected the name of a file to write")
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path}: is not a regular file and will not be replaced")
    check_parent(path)


def check_parent(path: Path) -> None:
    """Raise OSError if the folder around `path` does not exist or cannot be written to."""
    if not path.parent.is_dir():
        raise NotADirectoryError(f"{path}: cannot be written; there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"{path}: cannot be written; folder {path.parent} is read-only")
