"""Whether a Ray cluster can be reached, and a folder that is short enough for Ray's sockets.

Ray itself waits for minutes for an address where nobody answers.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import sys
import tempfile

from latency_predictor.printable import printable
from search.config.schema import ConfigError

REACH_S = 7
"""Longest wait for a connection, and then for an answer, in seconds."""
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""First bytes from a client of HTTP/2, and so of gRPC: a fixed text and empty settings."""
SETTINGS = 4
"""Type of the first frame of a server of HTTP/2. It is the fourth byte of what the server sends."""
SOCKET_BYTES, SESSION_BYTES = 103 if sys.platform == "darwin" else 107, 66
"""Length of the longest path of a socket, and of the part of a path that Ray adds to its folder:
`/session_DATE_TIME_PID/sockets/plasma_store`."""


def check_address(key: str, address: str) -> None:
    """Raise ConfigError if no Ray cluster answers at an address within twice `REACH_S`.

    `key` is the key of the configuration that holds the address.
    """
    if address in ("auto", "local"):
        return
    host, colon, port = address.rpartition(":")
    if "://" in address or not (host and colon and port.isdecimal() and int(port) < 2**16):
        raise ConfigError(
            f"{key}={address}: expected auto, or HOST:PORT of a Ray cluster's head, such as "
            "10.0.0.1:6379"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), REACH_S) as connection:
            # A cluster with TLS says nothing before the client has shown its certificate.
            if os.environ.get("RAY_USE_TLS", "0") == "0":
                connection.settimeout(REACH_S)
                connection.sendall(HELLO)
                answer = connection.recv(9)
                if len(answer) < 4 or answer[3] != SETTINGS:
                    raise ConfigError(f"{key}={address}: what answers is no Ray cluster")
    except TimeoutError as error:
        raise ConfigError(f"{key}={address}: nobody answered within {REACH_S} s") from error
    # A host's name that cannot be encoded is a UnicodeError.
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{key}={address}: cannot be reached ({why})") from error


def short_folder() -> str | None:
    """A folder of our own for a local cluster if Ray's own is too long for sockets, or else None.

    It is removed when the process ends. A line on standard error names it.
    """
    key = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    own = os.environ.get(key, "/tmp")  # Ray's default, whatever Python's is
    if len(os.fsencode(own)) + len("/ray") + SESSION_BYTES <= SOCKET_BYTES:
        return None
    folder = tempfile.mkdtemp(prefix="codec-search-", dir="/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    print(
        f"{key}={printable(own)} is too long for Ray's sockets; Ray's files go to {folder} instead",
        file=sys.stderr,
    )
    return folder
