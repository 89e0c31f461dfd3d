"""Parsers of option values, whose errors restate the value and say what would be accepted."""

from __future__ import annotations

from collections.abc import Callable

import typer


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A parser of whole numbers of at least `least` and at most `most`.

    It raises BadParameter for anything else.
    """
    allowed = f"of at least {least}" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise typer.BadParameter(f"'{text}' is not a whole number {allowed}")
        return value

    return parse
