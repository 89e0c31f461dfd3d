"""Studies in a database of PostgreSQL: runs, errors, and passwords that nobody sees."""

import gc
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from rich.console import Console
from servers import PASSWORD, free_port

from search.__main__ import main
from search.config.schema import CONFIGS, Config, ConfigError, RunConfig, SearchConfig
from search.evaluation.tabular import Table
from search.report.live import versions
from search.report.report import write_report
from search.storage import database as module
from search.storage.database import Database
from search.study.folders import find_database, read_study
from search.study.journal import JOURNAL
from search.study.records import RunRecord
from search.study.run import run
from search.study.study import counted
from space.search_space import SearchSpace

SILENT = Console(quiet=True)
LIMIT_S = 15
"""Longest time to an error, as processor time of this process and waiting."""


@pytest.fixture
def config(tiny: SearchSpace, tmp_path: Path) -> Config:
    """A run that looks its scores up."""
    rows = []
    for number in range(tiny.size):
        architecture = tiny.architecture(number)
        gain = 0.001 * sum(chain.C for chain in architecture.decoder)
        for steps in (0, 10):
            psnr = (np.array([30.0, 32.0, 34.0, 36.0]) + gain + steps / 100).tolist()
            row = {"id": architecture.id, "architecture": architecture.to_json(), "seed": 0}
            rows.append({**row, "steps": steps, "bpp": [0.1, 0.2, 0.4, 0.8], "psnr": psnr})
    pd.DataFrame(rows).to_parquet(tmp_path / "table.parquet")
    config = Config(
        space=yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()),
        run=RunConfig(root=str(tmp_path / "results")),
        search=SearchConfig(
            trials=8, start_trials=3, metric="psnr", tabular=str(tmp_path / "table.parquet")
        ),
    )
    config.proxy.steps, config.proxy.rungs = 10, (0,)
    return config


def with_password(url: str, password: str = PASSWORD) -> str:
    return url.replace("admin@", f"admin:{password}@")


def test_a_run_in_a_database_is_killed_and_continued_and_reported(
    config: Config, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    config.search.storage = with_password(url)
    resumed = 0

    def dies(self: Table, handle: tuple[str, int]) -> tuple[str, int]:
        nonlocal resumed
        resumed += 1
        if resumed == 3:
            raise KeyboardInterrupt
        return handle[0], handle[1] + 1

    with monkeypatch.context() as patched:
        patched.setattr(Table, "resume", dies)
        with pytest.raises(KeyboardInterrupt):
            run(config, SILENT)
    folder = run(config, SILENT)
    assert not (folder / JOURNAL).exists()
    trials = pd.read_parquet(folder / "trials.parquet")
    assert len(trials) == trials["id"].nunique() == 8

    record = RunRecord.read(folder)
    assert record.storage == url
    assert record.study.startswith("pico_tiny-")
    for path in folder.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes(), path

    # Another process does not know the password.
    monkeypatch.setattr(module, "_GIVEN", {})
    with pytest.raises(ConfigError, match=r"expected the password in .* PGPASSWORD") as error:
        write_report(folder)
    assert PASSWORD not in str(error.value)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    database = find_database(folder)
    assert database
    before = versions([database])
    write_report(folder)
    assert versions([database]) == before
    # Without the key, a run continues where it began.
    config.search.storage, config.search.trials = None, 10
    run(config, SILENT)
    assert versions([database]) != before
    assert len(counted(read_study(folder).trials)) == 10


def test_looks_at_a_run_leave_no_connection(config: Config, url: str) -> None:
    import psycopg

    config.search.storage, config.search.trials = url, 3
    folder = run(config, SILENT)
    with psycopg.connect(url, autocommit=True) as connection:
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        # Connections of the run live as long as its objects, and the server needs a moment more.
        gc.collect()
        deadline = time.monotonic() + 60
        while connection.execute(count).fetchone() != (1,):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        kept = [read_study(folder) for _ in range(5)]
        assert connection.execute(count).fetchone() == (1,)
    assert all(len(study.trials) == len(kept[0].trials) for study in kept)


def test_runs_of_one_name_share_a_database(config: Config, url: str, tmp_path: Path) -> None:
    config.search.storage, config.search.trials = url, 3
    first = run(config, SILENT)
    config.run.root = str(tmp_path / "others")
    second = run(config, SILENT)
    for folder in (first, second):
        assert len(counted(read_study(folder).trials)) == 3
    assert RunRecord.read(first).study != RunRecord.read(second).study


def test_a_database_may_get_another_address_and_no_other_content(
    config: Config, url: str, tmp_path: Path
) -> None:
    config.search.storage, config.search.trials = url, 3
    folder = run(config, SILENT)
    config.search.storage = url.replace("127.0.0.1", "localhost")
    config.search.trials = 4
    run(config, SILENT)
    assert RunRecord.read(folder).storage == config.search.storage
    assert len(counted(read_study(folder).trials)) == 4

    config.search.storage = url.rpartition("/")[0] + "/postgres"
    with pytest.raises(ConfigError, match=r"has no study 'pico_tiny-.* run began with"):
        run(config, SILENT)
    assert "localhost" in str(RunRecord.read(folder).storage)

    config.search.storage, config.run.name = None, "plain"
    run(config, SILENT)
    config.search.storage = url
    with pytest.raises(ConfigError, match="run 'plain' has its study in a journal; leave out"):
        run(config, SILENT)


@pytest.fixture
def mute() -> Iterator[int]:
    """Port of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestErrors:
    """One line within seconds, without a password."""

    def refused(self, url: str) -> str:
        started, used = time.monotonic(), psutil.Process().cpu_times().user
        with pytest.raises(ConfigError) as error:
            Database.of(url, "a-study").storage()
        # Imports take long on a busy machine.
        assert time.monotonic() - started - (psutil.Process().cpu_times().user - used) < LIMIT_S
        said = str(error.value)
        assert "\n" not in said
        assert said.startswith("search.storage=")
        assert PASSWORD not in said
        return said

    def test_nobody_listens(self) -> None:
        pytest.importorskip("psycopg")
        address = f"postgresql://admin:{PASSWORD}@127.0.0.1:{free_port()}/data"
        assert "Connection refused" in self.refused(address)

    def test_nobody_answers(self, mute: int) -> None:
        pytest.importorskip("psycopg")
        assert "timeout" in self.refused(f"postgresql://admin@127.0.0.1:{mute}/data")

    def test_mysql_does_not_answer(self, mute: int) -> None:
        pytest.importorskip("pymysql")
        assert "timed out" in self.refused(f"mysql://admin@127.0.0.1:{mute}/data")

    def test_a_wrong_password(self, url: str) -> None:
        said = self.refused(with_password(url, "wrong-word"))
        assert "password authentication failed" in said
        assert "wrong-word" not in said

    def test_no_password(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PGPASSWORD")
        assert "PGPASSWORD or the file ~/.pgpass" in self.refused(url)

    def test_a_missing_database(self, url: str) -> None:
        assert 'database "none" does not exist' in self.refused(f"{url.rpartition('/')[0]}/none")

    def test_a_user_who_may_not_create_tables(self, url: str) -> None:
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE USER reader PASSWORD '{PASSWORD}'")
        assert "permission denied" in self.refused(url.replace("admin@", "reader@"))

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("sqlite:///study.db", "SQLite is not accepted"),
            ("postgres://admin@host/data", "expected postgresql://USER@HOST/DATABASE or mysql://"),
            ("mongodb://admin:geheim@host/data", "=mongodb://admin:***@host/data: expected post"),
            ("study.journal", "expected postgresql://USER@HOST/DATABASE or mysql://"),
            ("postgresql://admin@host", "names no database"),
            ("postgresql://admin@host:port/data", "is no URL"),
            ("postgresql://admin:ge@heim@host/data", "expected %40 for an @"),
            ("postgresql://host/data?user=admin&password=geheim", "expected the password in"),
        ],
    )
    def test_a_url_that_is_not_accepted(self, url: str, said: str) -> None:
        with pytest.raises(ConfigError) as error:
            Database.of(url, "a-study")
        assert said in str(error.value)
        assert "heim" not in str(error.value)

    @pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
    def test_a_missing_driver(self, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "find_spec", lambda name: None)
        with pytest.raises(ConfigError, match=rf"pip install 'codec-search\[{scheme}\]'"):
            Database.of(f"{scheme}://admin@host/data", "a-study")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["run", "+space=pico_tiny", "search.storage=postgresql://a:geheim@127.0.0.1:1/d"], 2),
        (["run", "+space=pico_tiny", "search.storage='postgresql://a:geheim@127.0.0.1:1/d'"], 2),
        (["run", "+space=pico_tiny", "++search.storage=mongodb://a:geheim@127.0.0.1:1/d"], 2),
        (["run", "+space=pico_tiny", "search.storage=${oc.env:NAME}"], 2),
        (["run", "--cfg", "job", "+space=pico_tiny", "search.storage=${oc.env:NAME}"], 0),
        (["run", "+space=pico_tiny", "search.storge=postgresql://a:geheim@127.0.0.1:1/d"], 2),
        (["run", "search.storage=postgresql://a:geheim@127.0.0.1:1/d"], 2),
        (["run", "+space=pico_tiny", "postgresql://a:geheim@127.0.0.1:1/d"], 2),
        (["run", "+space=pico_tiny", "run.root=s3://a:geheim@bucket/runs"], 2),
        (
            ["run", "--cfg", "job", "+space=pico_tiny", "search.storage=postgresql://a:geheim@h/d"],
            2,
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_commands_print_no_password(
    words: list[str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAME", "postgresql://a:geheim@127.0.0.1:1/d")
    assert main(words) == code
    printed = capsys.readouterr()
    assert "geheim" not in printed.out + printed.err
    assert code == 0 or len(printed.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_runs_is_no_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "+space=pico_tiny", "run.root=s3://bucket/runs"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("run.root=s3://bucket/runs: expected the path of a folder")
    assert list(tmp_path.iterdir()) == []
