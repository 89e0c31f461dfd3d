"""A private server of PostgreSQL for tests."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "open-sesame"
PROGRAMS = Path("/usr/lib/postgresql")


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return port


@contextmanager
def postgresql() -> Iterator[int]:
    """Yield the port of a server on this machine, whose user `admin` has `PASSWORD`."""
    pytest.importorskip("psycopg", reason="no driver: pip install 'codec-search[postgresql]'")
    found = sorted(PROGRAMS.glob("*/bin/initdb"))
    if not found:
        pytest.skip(f"no server of PostgreSQL below {PROGRAMS}: apt-get install postgresql")
    folder, port = (
        Path(tempfile.mkdtemp(prefix="codec-search-postgresql-", dir="/tmp")),
        free_port(),
    )
    # The server refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    (folder / "password").write_text(PASSWORD)
    if user:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres")

    def call(program: str, *words: str) -> None:
        command = [*user, str(found[-1].parent / program), "-D", str(folder / "data"), *words]
        subprocess.run(command, cwd="/tmp", check=True, stdout=subprocess.DEVNULL, timeout=200)

    try:
        logins = ("-U", "admin", "-A", "scram-sha-256", "--pwfile", str(folder / "password"))
        call("initdb", *logins, "--no-sync")
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
        call("pg_ctl", "-o", options, "-l", str(folder / "log"), "-t", "120", "-w", "start")
        try:
            yield port
        finally:
            call("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
