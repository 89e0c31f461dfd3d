"""Writing of files and folders, whole or not at all."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises OSError that names the file."""
    try:
        with _folder_beside(path) as work:
            # In its own folder the file gets the permissions of any new file, and a free name.
            partial = Path(work) / "partial"
            partial.write_bytes(data)
            partial.replace(path)
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to fill, which replaces `path` if the block ends without an error.

    Raises OSError that names `path`, also for an OSError in the block.
    """
    try:
        with _folder_beside(path) as work:
            partial, former = Path(work) / "partial", Path(work) / "former"
            partial.mkdir()
            yield partial
            if path.exists():
                path.rename(former)
            partial.rename(path)
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from error


def left_behind(path: Path) -> list[Path]:
    """Unfinished folders beside `path`, of processes that were killed while writing it.

    They cannot be told from those of a process that is writing `path` now.
    """
    return list(path.parent.glob(f".{glob.escape(path.name)}.*"))


def _folder_beside(path: Path) -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
