"""Live reports: pages that are rewritten while a search runs, and served to a browser."""

from __future__ import annotations

import errno
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, NoReturn
from urllib.parse import quote, unquote, urlsplit

from latency_predictor.errors import UserError
from search.storage.database import Database

INTERVAL_S = 5.0
"""Seconds between two looks at the studies, and so the shortest time between two rewritings."""
HOST = "127.0.0.1"
"""Address of the server. Other machines cannot reach it."""
PORTS = range(8000, 8100)
"""Ports of which the server takes the first free one, unless the user chooses a port."""
REPORT_FILES = ("*.html", "*.png", "*.svg", "front.csv", "trials.parquet")
"""Patterns of the files in a run's folder that belong to its report."""

Versions = list[tuple[int, ...] | None]
"""Version of each of several studies. That of a journal is its time of the last change in ns and
its size in bytes, or None if it does not exist. That of a database is `Database.version`."""


def versions(studies: Iterable[Path | Database]) -> Versions:
    """The current versions of studies, each given as its journal or database."""
    return [_version(study) for study in studies]


def _version(study: Path | Database) -> tuple[int, ...] | None:
    if isinstance(study, Database):
        return study.version()
    if not study.exists():
        return None
    stat = study.stat()
    return stat.st_mtime_ns, stat.st_size


def watch(
    write: Callable[[], object], studies: Sequence[Path | Database], seen: Versions
) -> NoReturn:
    """Call `write` whenever a study differs from its version in `seen` or at the last call.

    It is called at most every `INTERVAL_S`. Only an error or Ctrl-C ends this function.
    """
    while True:
        time.sleep(INTERVAL_S)
        now = versions(studies)
        if now != seen:
            write()
            seen = now


@contextmanager
def served(page: Path, patterns: Sequence[str], port: int | None) -> Iterator[str]:
    """Serve a page during the context, and yield its address.

    The only other files that are served are those beside the page whose names match one of the
    `patterns`. Without a `port`, the first free one of `PORTS` is taken. Raises UserError if the
    port cannot be used.
    """
    with _bound(page, patterns, port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{HOST}:{server.server_port}/"
        finally:
            server.shutdown()


def _bound(page: Path, patterns: Sequence[str], port: int | None) -> _Server:
    """A server that listens at a port. Raises UserError."""
    for number in PORTS if port is None else (port,):
        try:
            return _Server(number, page, patterns)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UserError(
                    f"--port {number}: {error.strerror}; expected a port of 1024 or above"
                ) from error
    if port is None:
        raise UserError(
            f"ports {PORTS[0]} to {PORTS[-1]} are in use; expected --port N with a free port"
        )
    raise UserError(f"--port {port}: in use; expected a free port, or no --port to find one")


class _Server(ThreadingHTTPServer):
    """Server of one page and of the files beside it that match some patterns."""

    def __init__(self, port: int, page: Path, patterns: Sequence[str]) -> None:
        super().__init__((HOST, port), partial(_Handler, directory=str(page.parent)))
        self.page, self._patterns = page, patterns

    def names(self) -> set[str]:
        """Names of the files that may be served."""
        found = (file for pattern in self._patterns for file in self.page.parent.glob(pattern))
        return {self.page.name, *(file.name for file in found)}

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Browsers close connections early as a matter of course.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD for the files that its server names."""

    server: _Server

    def send_head(self) -> IO[bytes] | None:  # type: ignore[override]
        """Send the status and the headers; return the open file, or None if there is no body."""
        # Names are compared, so that no path in a request reaches the file system.
        name = unquote(urlsplit(self.path).path).removeprefix("/") or self.server.page.name
        if name not in self.server.names():
            self.send_error(404)
            return None
        self.path = f"/{quote(name)}"
        return super().send_head()

    def end_headers(self) -> None:
        # The page may be rewritten at any time.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, as an open page asks every few seconds."""
