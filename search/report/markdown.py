"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate


def markdown_table(headers: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """The table of these rows, which are as long as `headers`. Cells are the `str` of values."""
    cells = [[str(value) for value in row] for row in rows]
    return tabulate(cells, headers, "github", disable_numparse=True)
