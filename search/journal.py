"""The file behind a run's study: lines of JSON, only appended to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from optuna.storages.journal import JournalFileBackend

JOURNAL = "study.journal"


class Journal(JournalFileBackend):
    """Optuna's journal, for one process that writes trials and any that read.

    Each entry waits for the disk. A trial makes forty, which `at_once` writes together.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._held: list[dict[str, Any]] | None = None
        self._begun: int | None = None
        self._unseen = 0
        """Entries of others that came before what was held, and which nobody here reads."""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The journal of a run's folder, made if there is none."""
        # The lock is a link to the journal. Were its target relative it would dangle, and what a
        # killed process left of it would never be found to be stale.
        return cls(str((folder / JOURNAL).absolute()))

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Write the entries that are made within at its end, whatever ends it."""
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
        """Write entries, or hold them."""
        if self._held is None:
            super().append_logs(logs)
        else:
            self._held += logs

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Entries from a number on, those that are held included."""
        if self._held is None:
            yield from super().read_logs(log_number_from + self._unseen)
            return
        if self._begun is None:
            written = list(super().read_logs(log_number_from + self._unseen))
            self._begun = log_number_from + len(written)
            yield from written
        yield from self._held[max(log_number_from - self._begun, 0) :]


def drop_torn_line(folder: Path) -> None:
    """Cut an unfinished last line off the journal, to which the next entry would be glued.

    Only for the process that holds the run's lock.
    """
    journal = folder / JOURNAL
    if journal.exists():
        whole = journal.read_bytes().rpartition(b"\n")
        if whole[2]:
            journal.write_bytes(whole[0] + whole[1])
