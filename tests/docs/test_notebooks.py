"""The notebooks run, and the outputs that are committed say nothing of who ran them."""

import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "docs/notebooks"
NOTEBOOKS = [path.name for path in sorted(FOLDER.glob("*.ipynb"))]
MOST_BYTES = 100_000
FROM_FILES = "front.ipynb"
"""The notebook whose text follows from committed files alone."""


@pytest.fixture(scope="module")
def execute() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "execute.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_and_says_what_is_committed(name: str, execute: dict[str, Any]) -> None:
    """`python docs/notebooks/execute.py` writes the outputs anew after a change of the run."""
    now, committed = execute["executed"](FOLDER / name), nbformat.read(FOLDER / name, as_version=4)
    said, expected = execute["printed"](now), execute["printed"](committed)
    assert len(said) == len(expected) > 0
    if name == FROM_FILES:
        assert said == expected


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_small_and_says_nothing_of_the_machine(name: str) -> None:
    path = FOLDER / name
    assert path.stat().st_size < MOST_BYTES
    text = path.read_text()
    assert [
        word for word in ("/home", "/root", "/tmp", "/usr", "iopub", "Error") if word in text
    ] == []


def test_both_notebooks_are_there() -> None:
    assert NOTEBOOKS == ["front.ipynb", "sampler.ipynb"]
