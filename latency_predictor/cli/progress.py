"""The progress bar of the commands."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def shown(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """Iterate over the items, with a progress bar if standard error is a terminal.

    `what` is the label of the bar. `total` is the number of items, and can be left out for a
    sequence.
    """
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    console = Console(file=sys.stderr)  # the current stream, even if it is redirected later
    return track(items, what, total, console=console, transient=True)
