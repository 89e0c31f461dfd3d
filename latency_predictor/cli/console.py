"""The console of commands: names of files cannot change the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from latency_predictor.printable import printable


class _Console(Console):
    """A console that shows control characters, and bytes that are not UTF-8, as escapes."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text to be shown, from a string that may contain names of files."""
        return super().render_str("\n".join(map(printable, text.split("\n"))), **options)


def make_console(stderr: bool = False) -> Console:
    """A console on standard output or standard error, which breaks no lines."""
    # Brackets and colons in names are no markup.
    return _Console(stderr=stderr, soft_wrap=True, markup=False, emoji=False)
