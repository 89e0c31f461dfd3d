"""The command `run` and clusters that it cannot join, or whose head dies."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from ray._common.network_utils import find_free_port

pytestmark = pytest.mark.slow

FAST = [
    "+space=pico_tiny", "proxy=tiny", "data.train_crops=8", "data.select_crops=2",
    "proxy.metrics=[psnr]", "search.metric=psnr", "run.name=mine",
]  # fmt: skip
Head = Callable[..., tuple[str, subprocess.Popen[bytes]]]


@pytest.fixture
def head() -> Iterator[Head]:
    """Function that starts the head of a cluster and returns its address and process."""
    started = []
    # Ray's sockets need a short path.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:

        def start(**variables: str) -> tuple[str, subprocess.Popen[bytes]]:
            port = find_free_port()
            process = subprocess.Popen(
                [
                    "ray", "start", "--head", f"--port={port}", "--num-cpus=1", "--block",
                    "--include-dashboard=false", f"--temp-dir={folder}/{len(started)}",
                ],
                env=os.environ | {"RAY_AUTH_MODE": "disabled"} | variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            started.append(process)
            assert process.stdout is not None
            while b"--block" not in (line := process.stdout.readline()):
                assert line
            return f"127.0.0.1:{port}", process

        yield start
        for process in started:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a head and all its processes at once."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
    process.wait()


def command(root: Path, *words: str) -> list[str]:
    words = (*FAST, f"run.root={root}", *words)
    return [sys.executable, "-W", "ignore", "-m", "search", "run", *words]


def test_a_missing_token_is_a_line(head: Head, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a" * 64)
    address, _ = head(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    variables = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    done = subprocess.run(
        command(tmp_path, "search.trials=2", f"search.address={address}"),
        env=variables | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert re.fullmatch(
        rf"search\.address={address}: cannot be joined: .* token; its token is expected in .*\n",
        done.stderr,
    )


def test_the_head_is_killed_and_the_run_goes_on(
    head: Head, family: Callable[[int], dict[psutil.Process, str]], tmp_path: Path
) -> None:
    address, process = head()
    variables = os.environ | {"RAY_AUTH_MODE": "disabled"}
    words = command(tmp_path, "search.trials=500", f"search.address={address}")
    with subprocess.Popen(
        words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        while "BD-rate" not in (line := run.stdout.readline()):
            assert line
        # The node of the run lives on, as if the head were on another machine. Ray may end a run
        # whose own node dies at once, without a word. `ray start` would kill the node.
        process.send_signal(signal.SIGSTOP)
        next(child for child, line in family(process.pid).items() if "gcs_server" in line).kill()
        killed = time.monotonic()
        code = run.wait(60)
        said = run.stderr.read()
        assert (code, time.monotonic() - killed < 30) == (2, True), said
    assert re.fullmatch(
        r"the head of the Ray cluster, .*, does not answer any more; the same command continues "
        r"with a cluster that does\n",
        said,
    )
    end(process)
    address, _ = head()
    done = subprocess.run(
        command(tmp_path, "search.trials=4", f"search.address={address}"),
        env=variables,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
