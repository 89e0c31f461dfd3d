import warnings

import pytest

from latency_predictor.errors import InputWarning
from latency_predictor.profiles.milliseconds import Cell, milliseconds
from latency_predictor.profiles.text_file import ProfileFileError


def read(*cells: Cell, semicolons: bool = False) -> list[str | None]:
    keys = [(f"line {number}", "latency_ms") for number in range(2, len(cells) + 2)]
    found = milliseconds(dict(zip(keys, cells, strict=True)), "m.csv", semicolons)
    return [found.get(key) for key in keys]


@pytest.mark.parametrize(
    ("cell", "ms"),
    [
        ("4.21", "4.21"), ("4,21", "4.21"), ("4", "4"), (".5", ".5"), ("+1.20", "1.20"),
        ("0,234", "0.234"), ("0.234", "0.234"), ("1234,567", "1234.567"), ("12,3456", "12.3456"),
        ("1,234.5", "1234.5"), ("1.234,5", "1234.5"), ("1,234,567", "1234567"),
        ("1 234,5", "1234.5"), ("1\u202f234", "1234"), ("1'234.50", "1234.50"),
        ("4.21 ms", "4.21"), ("4,21ms", "4.21"), ("4 MS", "4"), ("4\u00a0msec.", "4"),
        ("0.0042 s", "4.2000"), ("0,0042 sec", "4.2000"), ("4210 us", "4.210"),
        ("4210 µs", "4.210"), ("4210 μs", "4.210"), ("4.2e-3 s", "4.2000"), ("4e1", "40"),
        (4.25, "4.25"), (7, "7"), (1.234, "1.234"), (1e-5, "0.00001"),
        *((cell, None) for cell in (
            "", "fast", "-1", "0", "0,000", "nan", "inf", "1e999", "1e-320", "4 5", "4.2.1", "~4",
            "1,23,4", "1_000", "\u0663", "4 min", "4 ms 5", "1,2345.6", -1, 0, float("nan"), 1e300,
        )),
    ],
)  # fmt: skip
def test_times_in_every_notation(cell: Cell, ms: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(cell) == [ms]


@pytest.mark.parametrize(
    "cells", [["1,234"], ["5", "12,500 ms"], ["1.234", "1,234"], [1.5, "1,234"]]
)
def test_a_comma_before_three_digits_is_refused(cells: list[Cell]) -> None:
    unclear = next(cell for cell in cells if "," in str(cell))
    place = f"m.csv, line {cells.index(unclear) + 2}"
    with pytest.raises(
        ProfileFileError, match=f"^{place}: '{unclear}' may be .* or .* decimal points"
    ):
        read(*cells)


@pytest.mark.parametrize(
    ("cells", "semicolons", "ms", "because"),
    [
        (["1,234", "4,25"], False, ["1.234", "4.25"], "line 3 has '4,25'"),
        (["4.25", "1,234"], False, ["4.25", "1234"], "line 2 has '4.25'"),
        (["1,234", "2,345"], True, ["1.234", "2.345"], "semicolons separate the columns"),
        (["1,234", "0.5"], True, ["1234", "0.5"], "line 3 has '0.5'"),
        (["1.234", "4,25"], True, ["1234", "4.25"], "line 3 has '4,25'"),
    ],
)
def test_the_column_decides_and_says_so(
    cells: list[Cell], semicolons: bool, ms: list[str], because: str
) -> None:
    with pytest.warns(InputWarning, match=f"because {because}"):
        assert read(*cells, semicolons=semicolons) == ms


def test_points_before_three_digits_are_decimal_points() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read("1.234", "12.500", 3) == ["1.234", "12.500", "3"]
        assert read("1.234", semicolons=True) == ["1.234"]


def test_a_mixed_column_is_refused_where_it_is_unclear() -> None:
    assert read("4,25", "1.5") == ["4.25", "1.5"]
    with pytest.raises(ProfileFileError, match=r"line 4: '1\.234' may be 1\.234 or 1234"):
        read("4,25", "1.5", "1.234")
