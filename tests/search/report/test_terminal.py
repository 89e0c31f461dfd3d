"""The table and the plot that a terminal shows of the best candidates."""

import re
from io import BytesIO, StringIO, TextIOWrapper
from itertools import pairwise
from pathlib import Path

import pytest
from made_runs import make_run
from rich.console import Console

from search.report import terminal
from search.report.terminal import print_best
from search.study.study import Costs
from space.search_space import SearchSpace


def run_of(folder: Path, space: SearchSpace, costs: Costs, times_ms: list[float]) -> Path:
    """A run whose front has candidates with these decode times, each 1 % better than the last."""
    given = [
        costs | {"decode_ms": ms, "decode_low_ms": ms / 2, "decode_high_ms": 2 * ms}
        for ms in times_ms
    ]
    make_run(folder, space, given)
    return folder


def printed(folder: Path, width: int = 80, to_terminal: bool = False) -> str:
    file = StringIO()
    colours = "standard" if to_terminal else None
    console = Console(
        file=file, width=width, force_terminal=to_terminal, color_system=colours, soft_wrap=True
    )
    print_best(folder, console)
    return file.getvalue()


def rows_of(text: str) -> list[list[str]]:
    """The words of each row of the table."""
    return [line.split() for line in text.splitlines() if re.match(r"  [0-9a-f]{12} ", line)]


def test_rows_are_the_front_with_the_intervals_and_the_knee(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    said = printed(run_of(tmp_path, tiny, costs, [10, 11, 12, 13, 100, 1000]))
    assert said.startswith("run: front of 6 among 6 evaluated candidates, hypervolume 0.")
    rows = rows_of(said)
    kmac = f"{costs['kmac_per_px']:.1f}"
    assert [row[1:7] for row in rows[:2]] == [
        ["+0.00", "10.0", "5.0", "to", "20.0", kmac],
        ["-1.00", "11.0", "5.5", "to", "22.0", kmac],
    ]
    assert [row[7:] for row in rows] == [[], [], [], ["knee"], [], []]


def test_a_long_front_is_thinned_evenly_and_keeps_its_ends_and_its_knee(
    costs: Costs, tiny: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "MAX_ROWS", 5)
    times = [10, 10.01, 10.02, 10.03, 100, 200, 400, 800, 1600]
    said = printed(run_of(tmp_path, tiny, costs, times))
    rows = rows_of(said)
    # An even choice takes every other candidate; the fourth is the knee.
    assert [-float(row[1]) for row in rows] == [0, 3, 4, 6, 8]
    assert [row[-1] == "knee" for row in rows] == [False, True, False, False, False]
    assert "Left out for length: 4 others of the front, which front.csv lists." in said


@pytest.mark.parametrize("width", range(44, 120, 4))
def test_the_knee_is_marked_at_every_width(
    width: int, costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    said = printed(run_of(tmp_path, tiny, costs, [10, 11, 12, 13, 100, 1000]), width)
    assert [row[-1] == "knee" for row in rows_of(said)] == [False, False, False, True, False, False]


@pytest.mark.parametrize("to_terminal", [False, True])
@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_nothing_is_wider_than_the_terminal(
    to_terminal: bool, width: int, costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    said = printed(run_of(tmp_path, tiny, costs, [10, 100, 1000]), width, to_terminal)
    assert ("\x1b[" in said) == to_terminal
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    assert "\x1b" not in plain
    drawn = [line for line in plain.splitlines() if not line.endswith(".")]
    assert max(map(len, drawn)) <= width
    assert len(rows_of(plain)) == 3
    assert ("┌" in plain) == (width >= 40)


def test_a_narrow_terminal_lacks_columns_and_not_digits(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    said = printed(run_of(tmp_path, tiny, costs, [10, 100, 1000]), width=45)
    assert "Left out for lack of width: 90 % interval, kMAC/px." in said
    assert [row[1:3] for row in rows_of(said)] == [
        ["+0.00", "10.0"],
        ["-1.00", "100.0"],
        ["-2.00", "1000.0"],
    ]


def test_equal_ratios_of_decode_time_are_equally_far_apart_in_the_plot(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    said = printed(run_of(tmp_path, tiny, costs, [1, 10, 100, 1000]))
    plot = said[said.index("┌") : said.index("└")]
    found = [
        (line.index(marker), marker)
        for line in plot.splitlines()
        for marker in "●◆"
        if marker in line
    ]
    columns = [column for column, _ in found]
    gaps = [right - left for left, right in pairwise(columns)]
    assert len(gaps) == 3
    assert max(gaps) - min(gaps) <= 1
    assert min(gaps) > 20
    assert said.splitlines()[-2].split() == ["1", "3.98", "15.8", "63.1", "251", "1000"]


def test_every_objective_has_a_column(costs: Costs, tiny: SearchSpace, tmp_path: Path) -> None:
    ranges = {
        "bd_rate_percent": None,
        "decode_ms": [1.0, 1e4],
        "peak_mb": [1.0, 100.0],
        "kmac_per_px": [0.1, 10.0],
    }
    given = [costs | {"decode_ms": 10.0 + n, "peak_mb": 7.25 - n} for n in range(3)]
    make_run(tmp_path, tiny, given, objectives=ranges)
    said = printed(tmp_path, width=100)
    assert said.count("peak mb") == 1
    assert said.count("kMAC/px") == 1
    assert [row[7] for row in rows_of(said)] == ["7.25", "6.25", "5.25"]


def test_each_row_says_how_surely_it_is_faster_than_the_next(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    make_run(tmp_path, tiny, 10, band={"target_ms": 20.0, "tolerance": 1e3})
    said = printed(tmp_path, width=200)
    rows = rows_of(said)
    shares = [int(row[7].strip(">%")) for row in rows[:-1]]
    assert len(rows) == 10
    assert len(rows[-1]) == 7
    for (one, other), share in zip(pairwise(float(row[2]) for row in rows), shares, strict=True):
        assert (share > 50) == (one < other)


def test_times_of_another_latency_model_are_not_compared(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    said = printed(run_of(tmp_path, tiny, costs, [10, 11]), width=200)
    assert "faster than next" not in said


def test_a_band_has_no_knee(costs: Costs, tiny: SearchSpace, tmp_path: Path) -> None:
    given = [costs | {"decode_ms": 20.0 + n / 10} for n in range(4)]
    make_run(tmp_path, tiny, given, band={"target_ms": 20.0, "tolerance": 0.1})
    said = printed(tmp_path)
    assert "shortlist of 4 among 4 evaluated candidates, best BD-rate -3.00 %." in said
    assert [row[1] for row in rows_of(said)] == ["-3.00", "-2.00", "-1.00", "+0.00"]
    assert "knee" not in said
    assert "reference" not in said


def test_before_the_first_trial(tiny: SearchSpace, tmp_path: Path) -> None:
    make_run(tmp_path, tiny, 0)
    assert printed(tmp_path) == "run: 0 evaluated candidates, hypervolume 0.000.\n"


def test_an_output_that_is_ascii_gets_the_table_alone(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    run_of(tmp_path, tiny, costs, [10, 100])
    raw = BytesIO()
    console = Console(file=TextIOWrapper(raw, encoding="ascii", write_through=True), width=80)
    print_best(tmp_path, console)
    said = raw.getvalue().decode("ascii")
    assert len(re.findall(r"^\| [0-9a-f]{12} \|", said, re.MULTILINE)) == 2
