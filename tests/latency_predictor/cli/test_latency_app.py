"""The command line of `latency_predictor`: a quick start, and completion."""

import subprocess
import sys

import pytest

from latency_predictor.__main__ import main


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, latency_predictor; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_help_loads_quickly() -> None:
    heavy = ("torch", "pandas", "sklearn", "coremltools")
    code = (
        "import sys; from latency_predictor.__main__ import main; main(['kit', '--help']); "
        f"sys.exit(str([name for name in {heavy} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "[]\n"


def test_a_shell_completes_the_installed_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typer's script asks the program itself, by a variable of its environment."""
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    monkeypatch.setenv("_LATENCY_PREDICTOR_COMPLETE", "source_bash")
    with pytest.raises(SystemExit, match="0"):
        main([])
    script = capsys.readouterr().out
    assert "_LATENCY_PREDICTOR_COMPLETE=complete_bash" in script
    monkeypatch.setenv("_LATENCY_PREDICTOR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "latency-predictor pre")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit, match="0"):
        main([])
    assert capsys.readouterr().out == "predict\n"
