"""README.md: its length, its links, and that its figures are those of the files they are from."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MOST_LINES = 180
SEARCHED_FOR = (
    "NAS", "hardware-aware", "learned image compression", "PICO", "Core ML", "Neural Engine",
    "Optuna", "Ray", "BD-rate",
)  # fmt: skip
SAID = "error 12.6 %<!--benchmarks/made_up.md: #Known; ours; MAPE--> and no more"
TABLES = """
## Known phones

| model | MAPE | rows |
|---|---|---|
| **ours** | 12.61 % (9 to 15) | 1,171 |
| `ridge` | 20.8 % | 1,171 |

## Unknown phones

| model | MAPE | rows |
|---|---|---|
| ours | 24.8 % | 359 |
"""


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import readme_figures

    return readme_figures


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A page that README could take figures from."""
    path = tmp_path / "benchmarks/made_up.md"
    path.parent.mkdir()
    path.write_text(TABLES)
    return path


def test_it_is_short_and_has_the_words_that_people_search_for() -> None:
    assert len(README.splitlines()) <= MOST_LINES
    assert [word for word in SEARCHED_FOR if word not in README] == []


def test_its_figures_are_those_of_the_files_that_they_are_from(figures: Any) -> None:
    """`python benchmarks/readme_figures.py --write` takes them from there after a change."""
    assert figures.differences(README) == []
    assert figures.without_source(README) == []
    assert len(figures.FIGURE.findall(README)) > 20


@pytest.mark.parametrize(
    "target",
    sorted(
        set(re.findall(r"\]\(([^)#]+)[^)]*\)", README)) - set(re.findall(r"https?://[^)]+", README))
    ),
)
def test_its_links_lead_to_files(target: str) -> None:
    assert (ROOT / target).exists()


def test_a_figure_that_changed_in_its_file_is_reported_and_corrected(
    figures: Any, source: Path, tmp_path: Path
) -> None:
    assert figures.differences(SAID, tmp_path) == []
    source.write_text(TABLES.replace("12.61 %", "13.14 %"))
    assert figures.differences(SAID, tmp_path) == [
        "benchmarks/made_up.md: #Known; ours; MAPE: is 13.1, README.md says 12.6"
    ]
    assert figures.corrected(SAID, tmp_path) == SAID.replace("12.6", "13.1")


def test_a_figure_that_changed_in_readme_is_reported(
    figures: Any, source: Path, tmp_path: Path
) -> None:
    assert len(figures.differences(SAID.replace("12.6", "12.5"), tmp_path)) == 1


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("benchmarks/made_up.md: ours; MAPE", "expected one cell, found 2"),
        ("benchmarks/made_up.md: theirs; MAPE", "expected one cell, found 0"),
        ("benchmarks/made_up.md: #Known; ours; tau", "expected one cell, found 0"),
        ("benchmarks/made_up.md: #Known; ours; model", "does not begin with a number"),
        ("benchmarks/no.md: ours; MAPE", "no such file"),
        ("results/front.csv: median decode_ms", "expected one of rows, min, max"),
        ("results/front.csv: min milliseconds", "expected one of rows, min, max"),
    ],
)
def test_a_comment_that_names_no_figure_is_reported(
    where: str, said: str, figures: Any, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    shutil.copy(ROOT / "results/reference/front.csv", tmp_path / "results/front.csv")
    (line,) = figures.differences(f"12<!--{where}-->", tmp_path)
    assert line.startswith(where)
    assert said in line


def test_a_number_that_names_no_file_is_reported(figures: Any) -> None:
    (words,) = figures.without_source(f"{SAID}, of `7` and [8](9.md), on an iPhone 13 at most 10 %")
    assert "at most 10 %" in words
