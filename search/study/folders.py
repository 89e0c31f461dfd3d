"""Folders of runs: found by path or name, and locked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from filelock import FileLock, Timeout

from search.config.schema import ConfigError, RunConfig
from search.data.own_folders import mark
from search.data.table_file import read_table
from search.storage.database import Database
from search.study.journal import JOURNAL, REMEDY, JournalSnapshot
from search.study.records import RecordError, RunRecord
from search.study.study import open_in_database, open_study

ROOT = Path(RunConfig.root)
"""Folder that holds the runs by default."""
TRIALS = "trials.parquet"
"""File with the table of a run's trials. It is written together with the run's report."""


def find_run(name: str, root: Path = ROOT) -> Path:
    """Find the folder of a run. `name` is the path of the folder, or its name below `root`.

    Raises ConfigError if there is no such run.
    """
    for folder in (Path(name), root / name):
        if RunRecord.exists(folder):
            return folder
    known = sorted(path.parent.name for path in root.glob(f"*/{RunRecord.FILE}"))
    raise ConfigError(
        f"no run '{name}'; expected a run's folder or the name of a run below {root}: "
        f"{', '.join(known) or 'there is none'}"
    )


@contextmanager
def locked(folder: Path, busy: str) -> Iterator[None]:
    """Create a folder, lock it and mark it as written by a command.

    Raises ConfigError(busy) if another process holds the lock, OSError if the folder cannot be
    written, and FolderError if it has pictures that no command wrote.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark(folder)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ConfigError(busy) from None


def read_study(folder: Path) -> optuna.Study:
    """The study of a run. Raises RecordError if the folder lacks it, JournalError if it is damaged.

    The study of a run that has just begun is empty. Nothing in the folder is written, neither now
    nor by changes of the study.
    """
    if database := find_database(folder):
        return open_in_database(database, reading=True)
    path = folder / JOURNAL
    if not path.is_file():
        raise RecordError(f"{path} is missing: a report needs the run's study")
    check_kept(folder)
    return open_study(JournalSnapshot(folder), RunRecord.read(folder).goal.objectives)


def find_database(folder: Path) -> Database | None:
    """The study of a run in a database, or None if it is in the run's journal.

    Raises ConfigError if the driver of the database is missing.
    """
    record = RunRecord.read(folder)
    return Database.of(record.storage, record.study) if record.storage else None


def check_kept(folder: Path) -> None:
    """Raise RecordError if the journal of a run is empty although the table of trials is not.

    The next report would empty the table as well.
    """
    journal, table = folder / JOURNAL, folder / TRIALS
    if not (journal.is_file() and table.is_file()) or journal.stat().st_size:
        return
    try:
        rows = len(read_table(table, ["id"]))
    except (OSError, ValueError):  # of a table that is broken, from which nothing is lost
        return
    if rows:
        raise RecordError(
            f"{journal} is broken, it is empty, but {TRIALS} has {rows} trials; {REMEDY}"
        )


def find_trials(folder: Path) -> Path:
    """Path of the table of a run's trials. Raises RecordError if the run has no table yet."""
    path = folder / TRIALS
    if not path.is_file():
        raise RecordError(
            f"{path} is missing; `python -m search report {folder}` writes it with the run's report"
        )
    return path
