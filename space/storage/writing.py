"""Writing of files and folders such that a failure leaves no partial result."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises OSError that names the file."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            # In its own folder the file gets the permissions of any new file, and a free name.
            partial = Path(folder) / "partial"
            partial.write_bytes(data)
            partial.replace(path)
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror})") from error


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to fill, which replaces `path` if the block ends without an error.

    Raises OSError that names `path`, also for an OSError in the block.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as work:
            partial, former = Path(work) / "partial", Path(work) / "former"
            partial.mkdir()
            yield partial
            if path.exists():
                path.rename(former)
            partial.rename(path)
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from error
