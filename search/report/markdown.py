"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate


def markdown_table(headers: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Format rows as a Markdown table. Each row is as long as `headers`; `str` makes the cells."""
    cells = [[str(value) for value in row] for row in rows]
    return tabulate(cells, headers, "github", disable_numparse=True)
