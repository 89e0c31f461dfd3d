from pathlib import Path

import pytest

from search.config.schema import ConfigError
from search.study.folders import TRIALS, find_run, find_trials
from search.study.records import RecordError, RunRecord


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the runs `a` and `b`, and with a folder that is no run."""
    monkeypatch.chdir(tmp_path)
    for name in ("b", "a"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / RunRecord.FILE).touch()
    (tmp_path / "runs/supernets").mkdir()
    return Path("runs")


def test_a_run_has_a_folder_and_a_name(root: Path) -> None:
    assert find_run("a", root) == Path("runs/a")
    assert find_run("runs/a", root) == Path("runs/a")
    assert find_run("runs/a") == Path("runs/a")


def test_an_unknown_name_is_answered_with_the_known_ones(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run 'supernets'; .* below runs: a, b$"):
        find_run("supernets", root)
    with pytest.raises(ConfigError, match=r"no run 'a'; .* below results: there is none$"):
        find_run("a")


def test_a_run_without_a_table_of_trials(root: Path) -> None:
    with pytest.raises(RecordError, match=r"runs/a/trials.parquet is missing; .* report runs/a`"):
        find_trials(root / "a")
    (root / "a" / TRIALS).touch()
    assert find_trials(root / "a") == root / "a" / TRIALS
