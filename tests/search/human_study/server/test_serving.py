"""The command `study serve` as the organiser meets it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from search.__main__ import main
from search.human_study.answers import DATABASE
from search.human_study.server.keys import FILE, Keys


def test_public_says_what_it_opens_and_answers_to_any_name(
    study_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (sys.executable, "-m", "search", "study", "serve", str(study_folder))
    with subprocess.Popen(
        [*command, "--port", "0", "--public"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(4)]
        port = int(said[0].split(":")[3].split("/")[0])
        assert said[2].startswith(f"--public: every machine that reaches port {port} of this one")
        assert "not encrypted" in said[2]
        keys = Keys.of(study_folder)
        invitation = f"http://127.0.0.1:{port}/join/{keys.invitation()}"
        headers = {
            "Host": "study.example.org",
            "Origin": "https://study.example.org",
            "X-CSRF-Token": keys.csrf(keys.invitation()),
        }
        joined = httpx2.post(invitation, json={}, headers=headers)
        assert joined.status_code == 200
        assert "server" not in joined.headers

        # A second server would not know what the first has in memory.
        assert main(["study", "serve", str(study_folder), "--port", "0"]) == 2
        assert "is served already" in capsys.readouterr().err
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 143


def test_a_port_in_use_is_named(study_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["study", "serve", str(study_folder), "--port", str(port)]) == 2
    assert f"--port {port}: in use; expected a free port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [(DATABASE, "is not a database of answers"), (FILE, "is not a secret of 32 bytes")],
)
def test_damaged_files_are_named(
    study_folder: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (study_folder / name).write_bytes(b"something else" * 100)
    assert main(["study", "serve", str(study_folder), "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
