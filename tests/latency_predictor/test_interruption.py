"""Signals to a small command, which is a real process."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = """
import sys
import time

import typer

from latency_predictor import interruption
from latency_predictor.cli.errors import continuing, run_app
from latency_predictor.interruption import held_back

app = typer.Typer()

def say(word):
    print(word, flush=True)

@app.command("wait")
def wait():
    with continuing():
        try:
            say("begun")
            time.sleep(60)
        finally:
            say("ending")
            time.sleep(0.5)
            say("ended")

@app.command("step")
def step():
    with held_back() as interrupted:
        say("begun")
        end = time.monotonic() + 60
        while not interrupted() and time.monotonic() < end:
            time.sleep(0.01)
        say("saved")
    say("went on")

@app.command("hang")
def hang():
    interruption.END_S = 0.5
    try:
        say("begun")
        time.sleep(60)
    finally:
        time.sleep(60)

sys.exit(run_app(app, "package", "program", sys.argv[1:]))
"""


def begun(word: str, *before: str) -> subprocess.Popen[str]:
    """A command that has begun; `before` are words before the name of Python."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", COMMAND, word], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_later_signals_do_not_disturb_the_end(number: signal.Signals, code: int) -> None:
    process = begun("wait")
    assert process.stdout is not None
    process.send_signal(number)
    assert process.stdout.readline() == "ending\n"
    for later in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        process.send_signal(later)
    out, error = process.communicate(timeout=20)
    assert (out, error) == ("ended\n", "Interrupted. The same command continues.\n")
    assert process.returncode == code


def test_a_step_is_completed() -> None:
    process = begun("step")
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20) == ("saved\n", "")
    assert process.returncode == 143


def test_an_end_that_hangs_is_cut_short() -> None:
    process = begun("hang")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    process = begun("wait", "nohup")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=20)
    assert out == "ending\nended\n"
    assert error.endswith("Interrupted. The same command continues.\n")
    assert process.returncode == 143
