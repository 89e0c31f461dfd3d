"""Refusal to replace a file that is not of the kind that a command writes.

A pattern of the shell, such as `encode *.png`, may give a photograph as the file to write.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from latency_predictor.printable import printable

Force = Annotated[
    bool, typer.Option("--force", help="Replace any file, not only one that the command wrote.")
]
HEAD_BYTES = 2**16
"""Number of bytes at the start of a file by which its kind is recognised.

An ICC profile may stand before the text by which a PNG of `decode` is recognised.
"""
PNG_START = b"\x89PNG\r\n\x1a\n"


def is_coded(head: bytes) -> bool:
    """Whether a file that starts with `head` is one of `encode`."""
    from space.bitstream.container import MAGIC

    return head.startswith(MAGIC)


def is_decoded(head: bytes) -> bool:
    """Whether a file that starts with `head` is a PNG that this package wrote."""
    from search.data.images import SOFTWARE

    return head.startswith(PNG_START) and b"Software\0" + SOFTWARE.encode() in head


def is_model(head: bytes) -> bool:
    """Whether a file that starts with `head` is a model."""
    from space.bitstream.stored_model import MODEL_KEY

    return MODEL_KEY.rpartition(" ")[0].encode() in head


def is_page(head: bytes) -> bool:
    """Whether a file that starts with `head` is a page of HTML."""
    return head.lower().startswith(b"<!doctype html")


def check_replaced(path: Path, is_kind: Callable[[bytes], bool], kind: str, remedy: str) -> None:
    """Raise OSError if `path` is a file that is not of the kind a command writes.

    `is_kind` recognises files of that kind by their first bytes, and `kind` is the kind as a noun.
    `remedy` says what the user may do.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not is_kind(head):
        raise FileExistsError(f"{printable(path)}: exists and is no {kind}; expected {remedy}")


def check_output(path: Path, is_kind: Callable[[bytes], bool], kind: str, force: bool) -> None:
    """The same check for a command that has the option --force."""
    if not force:
        check_replaced(path, is_kind, kind, "another name, or --force to replace the file")
