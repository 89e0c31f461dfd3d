"""Write files and folders atomically, that is, whole or not at all."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from latency_predictor.printable import printable

MAX_NAME_BYTES = 255
"""Length of the longest name of a file in the usual file systems."""
RANDOM = "12345678"
"""Letters in the form of those that `tempfile` appends to a prefix."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises an OSError whose message names the file."""
    with _naming(path), _work_folder(path, path.parent) as work:
        # In its own folder the file gets the permissions of any new file, and a free name.
        partial = Path(work) / "partial"
        partial.write_bytes(data)
        partial.replace(path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill. It replaces `path` if the block ends without an error.

    Raises an OSError whose message names `path`, also in place of an OSError in the block.
    """
    with _naming(path), _work_folder(path, path.parent) as work:
        partial, former = Path(work) / "partial", Path(work) / "former"
        partial.mkdir()
        yield partial
        if path.exists():
            path.rename(former)
        partial.rename(path)


def check_writable(path: Path, folder: Path) -> None:
    """Raise an OSError whose message names `path` if nothing can be written to `folder`.

    It makes a temporary folder there, because permissions do not tell whether a file system is
    read-only or a name too long.
    """
    with _naming(path), _work_folder(path, folder):
        pass


def left_behind(path: Path) -> list[Path]:
    """Temporary folders beside `path` in which a write of `path` was begun but not finished.

    Each was left behind by a process that was killed, or belongs to a process that is writing
    `path` now. The two cases cannot be told apart.
    """
    return list(path.parent.glob(f"{glob.escape(_prefix(path))}*"))


def _work_folder(path: Path, folder: Path) -> TemporaryDirectory[str]:
    """A temporary folder in `folder` from which `path` is written."""
    return TemporaryDirectory(prefix=_prefix(path), dir=folder)


def _prefix(path: Path) -> str:
    """Start of the names of temporary folders for `path`, which must not be longer than its own.

    A name that is itself too long is kept, so that the folder cannot be made.
    """
    name = path.name
    if len(os.fsencode(name)) <= MAX_NAME_BYTES:
        while len(os.fsencode(name)) > MAX_NAME_BYTES - len(".." + RANDOM):
            name = name[:-1]
    return f".{name}."


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Raise an OSError in the block as one whose message names `path`."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{printable(path)}: cannot be written ({error.strerror or error})"
        ) from error
