"""Damaged files of a run: each is named in one line, or left out, and nothing else changes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from latency_predictor.errors import InputWarning
from search.__main__ import main
from search.config.checks import CONFIG_FILE, read_config, write_config
from search.config.schema import CONFIGS, Config, ConfigError
from search.report.landmarks import classical_curves
from search.study.folders import read_study
from search.study.journal import JOURNAL, Journal, JournalError
from search.study.records import SCREEN_FILE, ClassicalRecord, RecordError, RunRecord
from search.study.study import open_study
from space.search_space import SearchSpace
from tests.search.report.made_runs import make_run

NOISE = np.random.default_rng(0).bytes(400)


class TestJournal:
    @pytest.fixture
    def folder(self, tiny: SearchSpace, tmp_path: Path) -> Path:
        """A run of three trials."""
        make_run(tmp_path / "run", tiny, 3)
        return tmp_path / "run"

    @pytest.mark.parametrize("line", [b"", b"{torn", b"[1]", b"{}", b"\xff\xfe\x00"])
    def test_a_broken_line_is_named(self, line: bytes, folder: Path) -> None:
        lines = (folder / JOURNAL).read_bytes().split(b"\n")
        (folder / JOURNAL).write_bytes(b"\n".join([*lines[:4], line, *lines[5:]]))
        with pytest.raises(JournalError, match=r"run/study\.journal, line 5: is broken"):
            read_study(folder)

    def test_lost_lines_are_noticed(self, folder: Path) -> None:
        lines = (folder / JOURNAL).read_text().splitlines(keepends=True)
        (folder / JOURNAL).write_text("".join(lines[1:]))
        with pytest.raises(JournalError, match=r"study\.journal: is broken, its entries form no"):
            read_study(folder)
        kept = [line for line in lines if '"costs"' not in line]
        (folder / JOURNAL).write_text("".join(kept))
        with pytest.raises(JournalError, match=r"is broken, trial 0 lacks its costs"):
            read_study(folder)

    def test_an_empty_journal_is_an_empty_study_unless_trials_are_lost(self, folder: Path) -> None:
        (folder / JOURNAL).write_bytes(b"")
        assert read_study(folder).trials == []
        pd.DataFrame({"id": ["a", "b"]}).to_parquet(folder / "trials.parquet")
        with pytest.raises(RecordError, match=r"study\.journal is broken, .* has 2 trials"):
            read_study(folder)
        (folder / "trials.parquet").write_bytes(NOISE)
        assert read_study(folder).trials == []
        assert (folder / JOURNAL).read_bytes() == b""

    def test_a_file_system_without_links(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr("os.symlink", refuse)
        assert open_study(Journal.of(tmp_path)).trials == []

    def test_a_full_disk_is_said_with_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        study = open_study(Journal.of(tmp_path))
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OSError, match=r"study\.journal: cannot be written \(No space left"):
            study.ask()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 3}', NOISE])
def test_a_broken_record_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / RunRecord.FILE).write_bytes(content)
    with pytest.raises(RecordError, match=r"run\.json is broken or of another version: .*run.name"):
        RunRecord.read(tmp_path)
    (tmp_path / ClassicalRecord.FILE).write_bytes(content)
    with pytest.warns(InputWarning, match=r"classical\.json is broken"):
        assert classical_curves(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "place"),
    [(b"", ""), (b"data: 5", ""), (b"data: {root: ", ", line 1"), (b"a: b: c", ", line 1"),
     (NOISE, ""), (b"data: {root: '${'}", "")],
)  # fmt: skip
def test_a_broken_configuration_is_named(content: bytes, place: str, tmp_path: Path) -> None:
    write_config(Config(), tmp_path)
    assert read_config(tmp_path)["data"]["root"] is None
    (tmp_path / CONFIG_FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"config\.yaml{place}: is broken \("):
        read_config(tmp_path)


def table_of(space: SearchSpace, path: Path) -> None:
    """Write a table of scores of every architecture."""
    rows = []
    for architecture in map(space.architecture, range(space.size)):
        gain = 0.001 * sum(chain.C for chain in architecture.decoder)
        scores = {"bpp": [0.1, 0.2, 0.4, 0.8], "psnr": [30 + gain, 32 + gain, 34 + gain, 36 + gain]}
        text = architecture.to_json()
        rows.append({"id": architecture.id, "architecture": text, "steps": 0, "seed": 0} | scores)
    pd.DataFrame(rows).to_parquet(path)


RUN = ["run", "+space=pico_tiny", "proxy.metrics=[psnr]", "search.metric=psnr", "run.root=.",
       "search.tabular=table.parquet", "run.name=run"]  # fmt: skip
READ = ("config.yaml", "run.json", "reference.json", SCREEN_FILE, JOURNAL, "trials.parquet")
"""The files of a run that commands read."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of scores and a run that looked up six trials in it."""
    folder = tmp_path_factory.mktemp("finished")
    config = yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text())
    table_of(SearchSpace.from_config(config), folder / "table.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*RUN, "search.trials=6"]) == 0
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.*")}


@pytest.mark.parametrize("damage", ["cut", "emptied", "noise", "hole"])
@pytest.mark.parametrize("name", READ)
@pytest.mark.slow
def test_every_command_works_or_says_one_line(
    name: str,
    damage: str,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (
        [*RUN, "search.trials=7"],
        ["report", "run", "--root", "."],
        ["promote", "run", "--root", ".", "--knee", "data.root=nowhere"],
    ):
        work = tmp_path / words[0]
        shutil.copytree(finished, work)
        monkeypatch.chdir(work)
        whole = (work / "run" / name).read_bytes()
        middle = len(whole) // 2
        torn = {"cut": whole[:middle], "emptied": b"", "noise": NOISE,
                "hole": whole[:middle] + NOISE[:30] + whole[middle + 30 :]}  # fmt: skip
        (work / "run" / name).write_bytes(torn[damage])
        before = contents(work)
        code = main(words)
        said = capsys.readouterr().err
        assert code in (0, 2), words
        assert "Traceback" not in said
        assert len(said.splitlines()) == (1 if code else said.count("Warning: "))
        if code:
            after = contents(work)
            changed = {file for file in before | after if before.get(file) != after.get(file)}
            assert changed <= {f"run/{name}"}
        if code and words[0] != "promote":
            assert name in said


def test_a_screen_that_is_none_is_left_out_of_the_page(
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(finished, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "work/run" / SCREEN_FILE).write_bytes(NOISE)
    assert main(["report", "run", "--root", ".", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["evaluated"] == 6
    assert printed.err.startswith("Warning: run/screen.parquet is broken and was left out: ")
    assert len(printed.err.splitlines()) == 1


def test_a_start_that_failed_leaves_its_name_free(
    tiny: SearchSpace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    table_of(tiny, tmp_path / "whole.parquet")
    rows = pd.read_parquet(tmp_path / "whole.parquet")
    rows[rows["id"] != tiny.reference.id].to_parquet(tmp_path / "table.parquet")
    assert main([*RUN, "search.trials=3"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == [".codec-search", ".lock"]
    (tmp_path / "whole.parquet").rename(tmp_path / "table.parquet")
    assert main([*RUN, "search.trials=3", "run.seed=5"]) == 0
