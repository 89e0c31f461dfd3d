"""Addresses of clusters against real sockets, and the folder of a local cluster."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from search.config.schema import ConfigError
from search.evaluation import reaching
from search.evaluation.reaching import HELLO, check_address, short_folder

KEY = "search.address"


@contextmanager
def answering(answer: bytes | None) -> Iterator[str]:
    """The address of a server that sends `answer` to its first client; None sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def serve() -> None:
            with server.accept()[0] as client:
                if answer is None:
                    ended.wait(10)
                else:
                    assert client.recv(len(HELLO)) == HELLO
                    client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        thread.join(10)


@pytest.mark.parametrize("address", ["ray://localhost:10001", "", "host", ":1", "h:x", "h:99999"])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(ConfigError, match=rf"^search.address={address}: expected auto, or HOST"):
        check_address(KEY, address)


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConfigError, match=rf"={port}: cannot|:{port}: cannot be reached \(Conn"):
        check_address(KEY, f"127.0.0.1:{port}")


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "REACH_S", 0.2)
    with answering(None) as address, pytest.raises(ConfigError, match=r"nobody answered within"):
        check_address(KEY, address)


def test_another_server_answers() -> None:
    with (
        answering(b"HTTP/1.1 400 Bad Request\r\n") as address,
        pytest.raises(ConfigError, match=r"what answers is no Ray cluster"),
    ):
        check_address(KEY, address)


def test_a_cluster_answers() -> None:
    with answering(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])) as address:
        check_address(KEY, address)
    check_address(KEY, "auto")


def test_a_long_folder_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert short_folder() is None
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("long" * 20)))
    folder = short_folder()
    assert folder is not None
    said = capsys.readouterr().err
    assert said.startswith(f"TMPDIR={tmp_path}")
    assert said.endswith(f" is too long for Ray's sockets; Ray's files go to {folder} instead\n")
    assert Path(folder).is_dir()
    # What Ray puts into it, with the longest number of a process.
    session = "session_2026-11-28_22-33-19_123456_4194304/sockets/plasma_store"
    assert len(f"{folder}/{session}") <= reaching.SOCKET_BYTES
