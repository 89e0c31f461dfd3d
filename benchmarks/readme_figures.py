"""Compare the figures in README.md with the files that they are from.

A figure is followed by a comment, which is invisible when the page is rendered:

    12.6 %<!--benchmarks/latency.md: source and family left out; all; roofline; MAPE-->

The comment names a file and says where in it the figure stands. In a page, the last word is the
heading of a column, and the words before it are cells of the row. If several tables have such a
row, a word that begins with # is part of the heading, or of the line, above the one that is meant.
In a table of a run (CSV or Parquet), it is one of the reductions below. A figure is as exact as it
is written: 12.6 in README.md stands for all values that are rounded to it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "README.md"
NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"
FIGURE = re.compile(
    rf"(?P<value>{NUMBER})(?: %| ms| minutes)?\s?<!--(?P<file>[\w./-]+): (?P<where>[^>]+)-->"
)
GIVEN = (
    r"arXiv 2605\.05148",
    r"iPhone 1\d(?:, 1\d or 1\d)?",
    r"Python 3\.11 or 3\.12",
    r"version 0\.1",
    r"Apache License 2\.0",
    r"NAS-Bench-201",
    r"SSIMULACRA2",
    r"90 % interval",
    r"after 200",  # the number of evaluations at which samplers are compared
    r"12 megapixels",
    r"0 to 7",  # the range of qualities
    r"60 ms",  # a question
)
"""Numbers in the text that are names, definitions or questions and not results."""
Reduction = Callable[[pd.DataFrame, list[str]], float]
REDUCTIONS: dict[str, Reduction] = {
    "rows": lambda table, _: len(table),
    "min": lambda table, words: float(table[words[0]].min()),
    "max": lambda table, words: float(table[words[0]].max()),
    "range": lambda table, words: float(table[words[0]].max() - table[words[0]].min()),
    "minutes": lambda table, words: (
        (table[words[3]].max() - table[words[1]].min()).total_seconds() / 60
    ),
}
"""Reductions of a table by their first word; `minutes from A to B` are those from the first A to
the last B."""


class NoFigureError(ValueError):
    """A comment names no figure, or more than one."""


@dataclass(frozen=True)
class Row:
    """A row of a table in a page."""

    above: str
    """The last heading and the last line above the table."""
    cells: dict[str, str]
    """Cells by the heading of their column."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write the figures of the files")
    write = parser.parse_args().write
    text = PAGE.read_text()
    for line in differences(text):
        print(line)
    for number in without_source(text):
        print(f"{number}: no file is named")
    if write:
        PAGE.write_text(corrected(text))
        text = PAGE.read_text()
    sys.exit(bool(differences(text) or without_source(text)))


def differences(text: str, root: Path = ROOT) -> list[str]:
    """One line for each figure that differs from its file, or that its file does not have."""
    lines = []
    for found in FIGURE.finditer(text):
        where = f"{found['file']}: {found['where']}"
        try:
            expected = as_written(found["value"], figure(root / found["file"], found["where"]))
        except NoFigureError as error:
            lines.append(f"{where}: {error}")
            continue
        if expected != found["value"]:
            lines.append(f"{where}: is {expected}, README.md says {found['value']}")
    return lines


def corrected(text: str, root: Path = ROOT) -> str:
    """The page with the figures of the files. Raises NoFigureError if a file lacks one."""

    def of_the_file(found: re.Match[str]) -> str:
        value = as_written(found["value"], figure(root / found["file"], found["where"]))
        return value + found[0][len(found["value"]) :]

    return FIGURE.sub(of_the_file, text)


def without_source(text: str) -> list[str]:
    """Numbers of the page that name no file, each with the words around it.

    Numbers in code, in addresses and in `GIVEN` are left out.
    """
    for pattern in (
        r"```.*?```", FIGURE.pattern, r"<!--.*?-->", r"`[^`]*`", r"\]\([^)]*\)", r"https?://\S+",
        *GIVEN,
    ):  # fmt: skip
        text = re.sub(pattern, " ", text, flags=re.DOTALL)
    return [found[0].strip() for found in re.finditer(r".{0,30}\d.{0,30}", text)]


def as_written(like: str, value: float) -> str:
    """A value with the sign and the decimals of a written one."""
    decimals = len(like.partition(".")[2])
    sign = "+" if like.startswith("+") else ""
    comma = "," if "," in like else ""
    return f"{value:{sign}{comma}.{decimals}f}"


def figure(path: Path, where: str) -> float:
    """The figure that a comment means. Raises NoFigureError if there is none or more than one."""
    if not path.is_file():
        raise NoFigureError("no such file")
    if path.suffix in (".csv", ".parquet"):
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        return reduced(table, where)
    *words, column = (word.strip() for word in where.split(";"))
    cells = {row.cells[column] for row in rows(path.read_text()) if matches(row, words, column)}
    if len(cells) != 1:
        raise NoFigureError(f"expected one cell, found {len(cells)}")
    number = re.match(NUMBER, cells.pop())
    if number is None:
        raise NoFigureError("the cell does not begin with a number")
    return float(number[0].replace(",", ""))


def reduced(table: pd.DataFrame, where: str) -> float:
    """A number that a table is reduced to. Raises NoFigureError if it is not defined."""
    name, *words = where.split()
    try:
        return REDUCTIONS[name](table, words)
    except (KeyError, IndexError) as error:
        expected = ", ".join(REDUCTIONS)
        raise NoFigureError(f"expected one of {expected}, and columns of the table") from error


def matches(row: Row, words: list[str], column: str) -> bool:
    """Whether a row has the column and each of the words."""
    return column in row.cells and all(
        word[1:].strip() in row.above if word.startswith("#") else word in row.cells.values()
        for word in words
    )


def rows(page: str) -> Iterator[Row]:
    """The rows of all tables of a page, without the marks of bold text and of code."""
    heading, above, columns = "", "", None
    for line in page.splitlines():
        if line.startswith("|"):
            cells = [re.sub(r"\*\*|`", "", cell).strip() for cell in line.split("|")[1:-1]]
            if columns is None:
                columns = cells
            elif not set(line) <= set("|:- "):
                yield Row(f"{heading} {above}", dict(zip(columns, cells, strict=False)))
            continue
        columns = None
        if line.startswith("#"):
            heading, above = line, ""
        elif line.strip():
            above = line


if __name__ == "__main__":
    main()
