"""Checks of the places that commands write to, before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from latency_predictor.printable import printable
from latency_predictor.writing import check_writable


def check_file(path: Path, *inputs: Path) -> None:
    """Raise OSError if no file can be written at `path`, or if `path` is one of `inputs`.

    A link to an input counts as the input.
    """
    if any(_same(path, other) for other in inputs):
        raise FileExistsError(f"{printable(path)}: is an input file and will not be replaced")
    if path.is_dir():
        raise IsADirectoryError(
            f"{printable(path)}: is a folder; expected the name of a file to write"
        )
    if (path.exists() and not path.is_file()) or _among_devices(path):
        raise FileExistsError(f"{printable(path)}: is not a regular file and will not be replaced")
    check_parent(path)


def check_parent(path: Path) -> None:
    """Raise OSError if the folder around `path` does not exist or cannot be written to."""
    if not path.parent.is_dir():
        raise NotADirectoryError(
            f"{printable(path)}: cannot be written; there is no folder {printable(path.parent)}"
        )
    _check_access(path, path.parent)
    check_writable(path, path.parent)


def check_folder(path: Path) -> None:
    """Raise OSError if files cannot be written to the folder `path`, which need not exist yet."""
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(
            f"{printable(path)}: is a file; expected the name of a folder to write"
        )
    nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(
            f"{printable(path)}: cannot be written; {printable(nearest)} is a file"
        )
    _check_access(path, nearest)
    check_writable(path, nearest)


def _check_access(path: Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        raise PermissionError(
            f"{printable(path)}: cannot be written; folder {printable(folder)} is read-only"
        )


def _same(path: Path, other: Path) -> bool:
    """Whether both paths lead to one file, or would if it existed."""
    if path.exists() and other.exists():
        return path.samefile(other)
    return os.path.realpath(path) == os.path.realpath(other)


def _among_devices(path: Path) -> bool:
    """Whether a path is a device or a stream by its name, such as /dev/stdout."""
    folder = Path(os.path.realpath(path.parent))
    return folder == Path("/dev") or Path("/proc") in (folder, *folder.parents)
