"""Storage of a run's study: an append-only file of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

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
        """Check every whole line; return whether there is one. Raises JournalError.

        An unfinished last line is what an interruption leaves, and is no error.
        """
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        lines = whole.split(b"\n") if whole else []
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
            except ValueError:  # also of bytes that are not UTF-8
                entry = None
            if not (isinstance(entry, dict) and {"op_code", "worker_id"} <= entry.keys()):
                raise JournalError(
                    f"{self.path}, line {number}: is broken, no entry of a study; {REMEDY}"
                )
        return bool(lines)

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


def drop_torn_line(folder: Path) -> None:
    """Remove an unfinished last line of the journal, so that the next entry starts a line.

    Only the process that holds the run's lock may call this.
    """
    journal = folder / JOURNAL
    if journal.exists():
        whole = journal.read_bytes().rpartition(b"\n")
        if whole[2]:
            write_whole(journal, whole[0] + whole[1])
