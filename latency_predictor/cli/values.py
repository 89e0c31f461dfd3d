"""Parsers of option values. Their errors restate the value and say what would be accepted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import typer

from latency_predictor.printable import printable


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Make a parser of whole numbers from `least` to `most`; None means that there is no maximum.

    The parser raises BadParameter for anything else.
    """
    allowed = f"of at least {least}" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise typer.BadParameter(f"'{printable(text)}' is not a whole number {allowed}")
        return value

    return parse


def path(text: str) -> Path:
    """Parse a path, in which `~` at the start is the home folder, as in a shell.

    Raises BadParameter for an empty path.
    """
    if not text.strip():
        raise typer.BadParameter(
            f"'{printable(text)}' is not a path; expected the name of a file or folder"
        )
    return Path(os.path.expanduser(text))  # noqa: PTH111  Path drops the dot of ./~
