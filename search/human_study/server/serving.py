"""The server process: it listens, tells the links, and ends with Ctrl-C."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from filelock import FileLock, Timeout

from latency_predictor.errors import UserError
from search.human_study.manifest import Study, StudyError
from search.human_study.server.app import LOCAL_HOSTS, make_app, read_study
from search.human_study.server.database import Database
from search.human_study.server.keys import Keys
from search.human_study.server.plates import draw_all

LOCAL, EVERYWHERE = "127.0.0.1", "0.0.0.0"
"""Addresses that are listened on: this machine alone, or every network that it is in."""
END_S = 5
"""Longest time that open requests get at the end, in seconds."""


def serve(folder: Path, comparisons: int, port: int, public: bool) -> None:
    """Serve the study in a folder until Ctrl-C.

    Raises StudyError if the folder cannot be shown to people, and UserError if the port is in use.
    """
    study = read_study(folder)
    with _alone(folder):
        _serve(folder, study, comparisons, port, public)


def _serve(folder: Path, study: Study, comparisons: int, port: int, public: bool) -> None:
    keys, database = Keys.of(folder), Database(folder)
    hosts = ("*",) if public else LOCAL_HOSTS
    listening = _listen(EVERYWHERE if public else LOCAL, port)
    app = make_app(folder, study, database, keys, comparisons, hosts)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=END_S,
    )
    draw_all()
    for line in _said(listening, keys, public):
        print(line, flush=True)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        database.close()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other servers from the study in the block. Raises StudyError if there is one."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise StudyError(f"{folder}: is served already; expected one server at a time") from error


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UserError."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"--port {port}: in use; expected a free port") from error
        raise UserError(
            f"--port {port}: {error.strerror}; expected a port of 1024 or above"
        ) from error
    return listening


def _said(listening: socket.socket, keys: Keys, public: bool) -> list[str]:
    """Lines for the organiser: the two links, and what is open to whom."""
    port = listening.getsockname()[1]
    name = socket.gethostname() if public else LOCAL
    lines = [
        f"For participants: http://{name}:{port}/join/{keys.invitation()}",
        f"For you alone: http://{name}:{port}/organiser/{keys.organiser()}",
    ]
    if public:
        lines.append(
            f"--public: every machine that reaches port {port} of this one can open the pages, and "
            "those with a link can answer, or see progress and all answers with yours. The "
            "connection is not encrypted; put a proxy with TLS in front of it on the internet."
        )
    return [*lines, "Ctrl-C ends the server. The same command continues the study."]
