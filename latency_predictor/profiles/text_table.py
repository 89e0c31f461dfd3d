"""Read tables of measurements as people and programs write them: CSV, JSON or JSON Lines."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from latency_predictor.profiles.milliseconds import Cell
from latency_predictor.profiles.text_file import ProfileFileError, first_object, load_json

Names = Mapping[str, Sequence[str]]
"""Accepted names of each column, in lower case and without punctuation."""
FIGURES: Names = {
    "latency_ms": ("latencyms", "predictms", "predictionms", "medianms"),
    "compute_unit": ("computeunit", "computeunits", "unit"),
    "device": ("device", "phone"),
    "os": ("os", "osversion"),
}
"""Columns that tables of measured kits and tables of published figures have in common."""
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Row:
    """A row of a table: its place in the file, such as "line 3", and its filled cells by column.

    Columns that a reader does not know keep the names that they have in the file.
    """

    place: str
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Table:
    """A table in a file.

    `columns` holds the names of the columns in the file by those in the rows, and `place` is the
    place of these names. `delimiter` separates the columns, and is empty for JSON.
    """

    rows: list[Row]
    columns: dict[str, str]
    place: str
    delimiter: str


def read_table(path: Path, text: str, where: str, names: Names) -> Table:
    """Read the table in the text of a file.

    The content or the end of the file's name tells JSON from CSV. Columns are found by their names
    in any case and with any punctuation, and the delimiter of a CSV file by its header. Messages of
    errors begin with `where`. Raises `ProfileFileError`.
    """
    known = {name: column for column, accepted in names.items() for name in accepted}
    if text.lstrip().startswith(("{", "[")) or path.suffix.lower() in _JSON_SUFFIXES:
        return _json_table(text, where, known)
    return _csv_table(text, where, known)


def plain(name: str) -> str:
    """A name in lower case and without punctuation: `loadms` for `Load (ms)`."""
    return re.sub(r"[^a-zµμ]", "", name.lower())


def _csv_table(text: str, where: str, known: Mapping[str, str]) -> Table:
    stated = re.match(r"\s*sep=([,;\t|]) *\n", text)  # Excel reads and writes this line
    if stated:
        text = "\n" * stated[0].count("\n") + text[stated.end() :]
    delimiter = stated[1] if stated else _delimiter(text, known)
    lines = _csv_lines(text, where, delimiter)
    place, header = next(lines, ("line 1", []))
    columns = _columns(header, known, f"{where}, {place}")
    rows = []
    for row_place, cells in lines:
        if len(cells) > len(header):
            raise ProfileFileError(
                f"{where}, {row_place}: {len(cells)} cells for {len(header)} columns; a cell that "
                f"contains {delimiter!r} needs quotation marks"
            )
        pairs = zip(columns, cells, strict=False)
        rows.append(Row(row_place, {column: cell for column, cell in pairs if cell}))
    return Table(rows, dict(zip(columns, header, strict=True)), place, delimiter)


def _delimiter(text: str, known: Mapping[str, str]) -> str:
    """The delimiter with which the first line has most known columns, then most columns."""
    header = next((line for line in text.split("\n") if line.strip()), "")

    def fit(delimiter: str) -> tuple[int, int]:
        names = header.split(delimiter)
        return sum(plain(name) in known for name in names), len(names)

    return max(_DELIMITERS, key=fit)


def _csv_lines(text: str, where: str, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Place and cells of each line that is not blank, without blank cells at its end."""
    reader = csv.reader(StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    number = 1
    try:
        for written in reader:
            cells = [cell.strip() for cell in written]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield f"line {number}", cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise ProfileFileError(f"{where}, line {number}: {error}") from error


def _json_table(text: str, where: str, known: Mapping[str, str]) -> Table:
    objects = _json_objects(text, where)
    written: dict[str, str] = {}
    rows = []
    for place, content in objects:
        columns = _columns(list(content), known, f"{where}, {place}")
        written.update(zip(columns, content, strict=True))
        cells = {
            column: cell
            for column, value in zip(columns, content.values(), strict=True)
            if (cell := _cell(value, f"{where}, {place}")) != ""
        }
        rows.append(Row(place, cells))
    return Table(rows, written, objects[0][0] if objects else "line 1", "")


def _json_objects(text: str, where: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Place and content of each object: of a list, of one object, or one object a line."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        return []
    if len(lines) > 1 and first_object(text):
        found = [(f"line {n}", load_json(line, f"{where}, line {n}")) for n, line in lines]
    else:
        content = load_json(text, where)
        if isinstance(content, list):
            found = [(f"entry {n}", entry) for n, entry in enumerate(content, 1)]
        else:
            found = [(f"line {lines[0][0]}", content)]
    for place, entry in found:
        if not isinstance(entry, Mapping):
            raise ProfileFileError(f"{where}, {place}: expected a list of objects, one a row")
    return found


def _columns(names: Sequence[str], known: Mapping[str, str], where: str) -> list[str]:
    """The column of each name in a header. Raises ProfileFileError if two names mean the same."""
    columns = [known.get(plain(name), name.strip()) for name in names]
    for column in set(known.values()):
        same = [name for name, found in zip(names, columns, strict=True) if found == column]
        if len(same) > 1:
            raise ProfileFileError(
                f"{where}: the columns {' and '.join(map(repr, same))} are both {column}; "
                "expected one"
            )
    return columns


def _cell(value: Any, where: str) -> Cell:
    """A JSON value as a cell; null is an empty one. Raises ProfileFileError for invalid text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    cell = "" if value is None else value.strip() if isinstance(value, str) else json.dumps(value)
    try:
        cell.encode()
    except UnicodeEncodeError as error:
        raise ProfileFileError(f"{where}: {value!r} is not Unicode text") from error
    return cell
