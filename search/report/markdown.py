"""Tables in Markdown whose cells are as wide as their text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import DataRow, TableFormat, tabulate


def _header(cells: Sequence[str], widths: Sequence[int], alignments: Sequence[str]) -> str:
    """The row of column names. An empty name takes one space instead of two."""
    return f"|{'|'.join(cell if cell.strip() else ' ' for cell in cells)}|"


FORMAT = TableFormat(
    lineabove=None,
    linebelowheader=lambda widths, alignments: f"|{'---|' * len(widths)}",
    linebetweenrows=None,
    linebelow=None,
    headerrow=_header,
    datarow=DataRow("|", "|", "|"),
    padding=1,
    with_header_hide=None,
)


def markdown_table(headers: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """The table of these rows, which are as long as `headers`. Cells are the `str` of values."""
    cells = [[str(value) for value in row] for row in rows]
    return tabulate(cells, headers, FORMAT, disable_numparse=True, stralign=None)
