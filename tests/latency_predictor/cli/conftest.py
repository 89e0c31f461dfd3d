"""Calls of the command line that succeed or fail."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from latency_predictor.__main__ import main


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command that must succeed; return the JSON that it prints."""

    def call(*words: object) -> Any:
        assert main([str(word) for word in words]) == 0
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def failure(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a command says about bad input."""

    def call(*words: object) -> str:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert code == 2
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        return captured.err

    return call
