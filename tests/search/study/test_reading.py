"""Commands that only read a run change none of its files."""

import shutil
from pathlib import Path

import optuna
import pytest

from search.__main__ import main
from search.report.json_document import run_document
from search.report.report import write_report
from search.study.folders import TRIALS, read_study
from search.study.journal import JOURNAL
from search.study.records import RecordError
from space.search_space import SearchSpace
from tests.search.report.made_runs import make_run

OUTPUTS = {
    "report.html", "front.svg", "front.png", "curves.png", "hypervolume.png", "samples.png",
    "front.csv", TRIALS,
}  # fmt: skip
"""All files of a run's folder that a report writes."""


@pytest.fixture
def run(tiny: SearchSpace, tmp_path: Path) -> Path:
    """The folder of a run of three trials."""
    make_run(tmp_path / "run", tiny, 3)
    return tmp_path / "run"


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of the last change of every file in and below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def cut(run: Path, size: int) -> None:
    """Shorten the journal to its first `size` bytes."""
    (run / JOURNAL).write_bytes((run / JOURNAL).read_bytes()[:size])


def ends(run: Path) -> list[int]:
    """Sizes of the journal after each line."""
    lines = (run / JOURNAL).read_bytes().splitlines(keepends=True)
    return [sum(map(len, lines[: n + 1])) for n in range(len(lines))]


@pytest.mark.parametrize("line", [0, 1, 2, -1, None])
def test_a_report_writes_its_outputs_alone(line: int | None, run: Path) -> None:
    """The journal is whole, or its line with this number is torn, the second names objectives."""
    if line is not None:
        cut(run, ends(run)[line] - 10)
    before = state(run)
    write_report(run)
    after = state(run)
    assert after.keys() - before.keys() <= OUTPUTS
    assert {name: after[name] for name in before} == before
    if line in (-1, None):
        assert after.keys() - before.keys() == OUTPUTS


def test_no_cut_of_a_journal_is_changed_by_reading(run: Path, tmp_path: Path) -> None:
    whole, last = ends(run), 0
    for size in sorted({0, 1, *whole, *(end - 1 for end in whole), *(end + 9 for end in whole)}):
        copy = tmp_path / str(size)
        shutil.copytree(run, copy)
        cut(copy, size)
        before = state(copy)
        evaluated = run_document(copy)["evaluated"]
        assert state(copy) == before
        assert evaluated >= last
        last = evaluated
    assert last == 3


def test_a_study_that_was_read_cannot_be_written(run: Path) -> None:
    before = state(run)
    study = read_study(run)
    number = study.ask().number
    study.tell(number, state=optuna.trial.TrialState.FAIL)
    assert len(study.trials) == number + 1
    assert state(run) == before
    assert len(read_study(run).trials) == number


def test_a_journal_that_is_missing_is_not_created(run: Path) -> None:
    (run / JOURNAL).unlink()
    with pytest.raises(RecordError, match="a report needs the run's study"):
        write_report(run)
    assert not (run / JOURNAL).exists()


@pytest.mark.parametrize(
    "words", [["report", "--json"], ["promote", "--knee", "data.root=nowhere"]]
)
def test_commands_leave_a_torn_journal_as_it_is(
    words: list[str], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    write_report(run)
    cut(run, ends(run)[-1] - 10)
    before = state(run)
    command, *rest = words
    assert main([command, "run", "--root", ".", *rest]) == (0 if command == "report" else 2)
    after = state(run)
    assert after.keys() == before.keys()
    kept = before.keys() - (OUTPUTS if command == "report" else set())
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
