"""The shipped model, and naming the file in an error; commands share them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHIPPED_MODEL = Path(__file__).parents[1] / "shipped_codec" / "model.safetensors"
"""The model of the package, which commands use if none is given."""


@contextmanager
def naming(path: Path, kind: type[ValueError]) -> Iterator[None]:
    """If the block raises an error of type `kind`, prefix the message with the file's path."""
    try:
        yield
    except kind as error:
        raise kind(f"{path}: {error}") from error
