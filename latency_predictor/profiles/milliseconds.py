"""Read the times in a table, which people and programs write in several notations."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from latency_predictor.errors import InputWarning
from latency_predictor.profiles.text_file import ProfileFileError

Cell = str | int | float
"""A value in a table: text, or a number of a JSON file."""
Key = tuple[str, str]
"""The place of a row, such as "line 3", and the name of one of its columns."""

_TIME = re.compile(
    r"\+?(?P<number>[0-9.,]*[0-9][0-9.,]*)(?P<exponent>e[+-]?[0-9]+)? ?(?P<unit>[a-zµμ]*)\.?"
)
_GROUPING = re.compile(r"(?<=[0-9])[ \u00a0\u2009\u202f'\u2019](?=[0-9]{3}(?![0-9]))")
"""A space or an apostrophe that groups digits: `1 234,5` and `1'234.5`."""
_NOTATIONS = {
    "point": re.compile(r"([1-9][0-9]{0,2}(,[0-9]{3})+|[0-9]*)(\.[0-9]*)?"),
    "comma": re.compile(r"([1-9][0-9]{0,2}(\.[0-9]{3})+|[0-9]*)(,[0-9]*)?"),
}
"""Numbers with a decimal point and with a decimal comma. The other sign may group digits."""
SHORTEST_MS, LONGEST_MS = 1e-6, 1e9
"""Times outside these limits, a nanosecond and eleven days, are no times of a program."""
EXPECTED = f"a positive number of milliseconds ({SHORTEST_MS:g} to {LONGEST_MS:g})"
_IN_MS = {
    **dict.fromkeys(("", "ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), "1"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "1000"),
    **dict.fromkeys(("us", "µs", "μs", "usec", "usecs", "microsecond", "microseconds"), "0.001"),
    **dict.fromkeys(("ns", "nsec", "nsecs", "nanosecond", "nanoseconds"), "0.000001"),
}
"""Milliseconds of each unit that a cell may state. A number without a unit is in milliseconds."""


@dataclass(frozen=True)
class _Time:
    """A time as a cell states it.

    `by_notation` holds the milliseconds, as a decimal number, that the cell means in each notation
    that fits it.
    """

    cell: str
    by_notation: Mapping[str, str]

    @property
    def ambiguous(self) -> bool:
        """Whether the notations give different numbers, as for `1,234`."""
        return len(set(self.by_notation.values())) > 1


def milliseconds(cells: Mapping[Key, Cell], where: str, semicolons: bool) -> dict[Key, str]:
    """Read the times in the cells of a table, as decimal numbers of milliseconds.

    A cell may state its unit (`4.21 ms`, `0.0042 s`) and have a decimal comma (`4,21`). Other
    cells are left out. `semicolons` says whether semicolons separate the columns.

    `1,234` and `1.234` are 1.234 or 1234, depending on the notation. The other cells decide, or the
    semicolons, and an `InputWarning` says so. Otherwise a point is a decimal point, and
    `ProfileFileError` is raised for a comma, with `where` and the place.
    """
    times = {key: time for key, cell in cells.items() if (time := _parse(cell))}
    unclear = {key: time for key, time in times.items() if time.ambiguous}
    notation, reason = _notation(times, unclear, where, semicolons) if unclear else ("point", "")
    if reason:
        key, time = next(iter(unclear.items()))
        likewise = f", and {len(unclear) - 1} more likewise" if len(unclear) > 1 else ""
        warnings.warn(
            f"{where}, {key[0]}: {time.cell!r} is read as {time.by_notation[notation]} "
            f"milliseconds, because {reason}{likewise}",
            InputWarning,
            stacklevel=2,
        )
    return {
        key: time.by_notation[notation if time.ambiguous else next(iter(time.by_notation))]
        for key, time in times.items()
    }


def _parse(cell: Cell) -> _Time | None:
    """The time in a cell, or None if no program takes it."""
    if not isinstance(cell, str):
        ms = _in_ms(repr(cell), "1")
        return _Time(repr(cell), dict.fromkeys(_NOTATIONS, ms)) if ms else None
    plain = " ".join(_GROUPING.sub("", cell.strip().lower()).split())
    match = _TIME.fullmatch(plain)
    if match is None or match["unit"] not in _IN_MS:
        return None
    by_notation = {}
    for notation, pattern in _NOTATIONS.items():
        if pattern.fullmatch(match["number"]):
            decimal, group = (".", ",") if notation == "point" else (",", ".")
            number = match["number"].replace(group, "").replace(decimal, ".")
            number += match["exponent"] or ""
            if found := _in_ms(number, _IN_MS[match["unit"]]):
                by_notation[notation] = found
    return _Time(cell, by_notation) if by_notation else None


def _in_ms(number: str, factor: str) -> str | None:
    """A number times a factor, without an exponent; None if no program takes so long."""
    if not SHORTEST_MS <= float(number) * float(factor) <= LONGEST_MS:
        return None
    if factor == "1" and "e" not in number:
        return number
    return format(Decimal(number) * Decimal(factor), "f")


def _notation(
    times: Mapping[Key, _Time], unclear: Mapping[Key, _Time], where: str, semicolons: bool
) -> tuple[str, str]:
    """The notation in which to read unclear times, and why, unless it is the usual one."""
    clear = {
        next(iter(time.by_notation)): (key, time)
        for key, time in times.items()
        if len(time.by_notation) == 1
    }
    commas = {key: time for key, time in unclear.items() if "," in time.cell}
    if len(clear) == 1:
        ((notation, (key, time)),) = clear.items()
        usual = notation == "point" and not commas
        return notation, "" if usual else f"{key[0]} has {time.cell!r}"
    if not clear and not commas:
        return "point", ""
    if not clear and semicolons and len(commas) == len(unclear):
        return "comma", "semicolons separate the columns"
    key, time = next(iter((commas or unclear).items()))
    choice = " or ".join(time.by_notation.values())
    raise ProfileFileError(
        f"{where}, {key[0]}: {time.cell!r} may be {choice} milliseconds; expected all times with "
        "decimal points and without separators of thousands"
    )
