"""Storage of a run's study: an append-only file of JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from optuna.storages.journal import JournalFileBackend

from latency_predictor.writing import write_whole

JOURNAL = "study.journal"


class Journal(JournalFileBackend):
    """Optuna's journal file, for one process that writes trials and any number of readers.

    Every write waits for the disk. A trial makes forty entries; `batch` writes them at once.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._held: list[dict[str, Any]] | None = None
        self._begun: int | None = None
        self._unseen = 0
        """Number of entries that other processes wrote before the held ones, and which this process
        does not read."""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The journal of a run's folder, created if it does not exist."""
        # The lock is a symbolic link to the journal. With a relative target it would dangle, and a
        # lock that a killed process left behind would never be recognised as stale.
        return cls(str((folder / JOURNAL).absolute()))

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
        """Write entries, or hold them within `batch`."""
        if self._held is None:
            super().append_logs(logs)
        else:
            self._held += logs

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
