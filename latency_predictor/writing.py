"""Write files and folders atomically, that is, whole or not at all."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises an OSError whose message names the file."""
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
    """Yield an empty folder to fill. It replaces `path` if the block ends without an error.

    Raises an OSError whose message names `path`, also in place of an OSError in the block.
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
    """Temporary folders beside `path` in which a write of `path` was begun but not finished.

    Each was left behind by a process that was killed, or belongs to a process that is writing
    `path` now. The two cases cannot be told apart.
    """
    return list(path.parent.glob(f".{glob.escape(path.name)}.*"))


def _folder_beside(path: Path) -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
