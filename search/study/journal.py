"""Storage of a run's study: an append-only file of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock

from latency_predictor.errors import UserError
from latency_predictor.writing import write_whole

JOURNAL = "study.journal"
REMEDY = "restore the file, or start another run with run.name=NAME"
"""End of the messages about a broken file of a run."""


class JournalError(UserError):
    """The journal of a run is damaged."""


class Journal(JournalFileBackend):
    """Optuna's journal file, for one process that writes trials and any number of readers.

    Every write waits for the disk. A trial makes forty entries; `batch` writes them at once.
    """

    def __init__(self, path: str) -> None:
        # Optuna's other lock is a symbolic link, which some file systems do not have.
        super().__init__(path, JournalFileOpenLock(path))
        self.path = Path(path)
        self._held: list[dict[str, Any]] | None = None
        self._begun: int | None = None
        self._unseen = 0
        """Number of entries that other processes wrote before the held ones, and which this process
        does not read."""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The journal of a run's folder, created if it does not exist."""
        return cls(str(folder / JOURNAL))

    def check(self) -> bool:
        """Check every whole line; return whether there is one. Raises JournalError."""
        return bool(_whole_entries(self.path))

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Hold the entries made in the context, and write them when it ends, also by an error."""
        self._held, self._begun = [], None
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self.append_logs(held)
            if self._begun is not None:
                written = list(self.read_logs(self._begun))
                self._unseen += len(written) - len(held)
                # Optuna would keep the place of every entry. Reading goes on from the last one.
                last = max(self._log_number_offset)
                self._log_number_offset = {0: 0, last: self._log_number_offset[last]}

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries, or hold them within `batch`. Raises an OSError that names the file."""
        if self._held is not None:
            self._held += logs
            return
        try:
            super().append_logs(logs)
        except OSError as error:
            why = error.strerror or error
            raise OSError(f"{self.path}: cannot be written ({why})") from error

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Entries from number `log_number_from` on, including entries that `batch` still holds."""
        if self._held is None:
            yield from super().read_logs(log_number_from + self._unseen)
            return
        if self._begun is None:
            written = list(super().read_logs(log_number_from + self._unseen))
            self._begun = log_number_from + len(written)
            yield from written
        yield from self._held[max(log_number_from - self._begun, 0) :]


class JournalSnapshot(BaseJournalBackend):
    """The entries that a run's journal has at one moment, in memory, for commands that only read.

    It keeps no file, so that nothing can be written to one: entries that are appended, such as the
    names of the objectives in a run of earlier versions, are in this snapshot alone.
    """

    def __init__(self, folder: Path) -> None:
        """Read the journal of a run's folder. Raises OSError, and JournalError if it is damaged."""
        self.path = folder / JOURNAL
        self.entries = _whole_entries(self.path)

    def check(self) -> bool:
        """Whether there is an entry. All of them were checked when they were read."""
        return bool(self.entries)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries to the snapshot, and to no file."""
        self.entries += logs

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Entries from number `log_number_from` on."""
        yield from self.entries[log_number_from:]


def _whole_entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a journal. Raises JournalError if a whole line is none.

    An unfinished last line is what an interruption leaves, and is no error.
    """
    whole = path.read_bytes().rpartition(b"\n")[0]
    entries = []
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        try:
            entry = json.loads(line)
        except ValueError:  # also of bytes that are not UTF-8
            entry = None
        if not (isinstance(entry, dict) and {"op_code", "worker_id"} <= entry.keys()):
            raise JournalError(f"{path}, line {number}: is broken, no entry of a study; {REMEDY}")
        entries.append(entry)
    return entries


def drop_torn_line(folder: Path) -> None:
    """Remove an unfinished last line of the journal, so that the next entry starts a line.

    Only the process that holds the run's lock may call this.
    """
    journal = folder / JOURNAL
    if journal.exists():
        whole = journal.read_bytes().rpartition(b"\n")
        if whole[2]:
            write_whole(journal, whole[0] + whole[1])
