import sys

import pytest
import typer

from latency_predictor.cli.errors import BAD_INPUT, continuing, exit_code, run_app
from latency_predictor.cli.help import APP
from latency_predictor.errors import UserError


def failing(error: BaseException) -> typer.Typer:
    """An app of which one command raises this error."""
    app = typer.Typer(**APP)

    @app.command("fail")
    def fail() -> None:
        raise error

    @app.command("pass")
    def succeed() -> None:
        print("done")

    return app


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("a: is wrong; expected b"), "a: is wrong; expected b\n"),
        (UserError("first line\n\n  second line"), "first line second line\n"),
        (FileNotFoundError(2, "No such file", "a"), "[Errno 2] No such file: 'a'\n"),
        (typer.BadParameter("'a' is not b"), "Invalid value: 'a' is not b\n"),
    ],
)
def test_errors_of_a_user_are_one_line(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(failing(error), "package", "program", ["fail"]) == BAD_INPUT
    assert capsys.readouterr() == ("", said)


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_app(failing(ZeroDivisionError()), "package", "program", ["fail"])


def test_exit_codes_of_commands() -> None:
    assert run_app(failing(typer.Exit(3)), "package", "program", ["fail"]) == 3
    assert run_app(failing(KeyboardInterrupt()), "package", "program", ["fail"]) == 130
    assert run_app(failing(ValueError()), "package", "program", ["pass"]) == 0
    assert exit_code(lambda: None) == 0


def test_what_continues_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), continuing():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "Interrupted. The same command continues.\n"


def test_completion_is_for_the_installed_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell cannot complete the words after `python -m package`."""
    monkeypatch.setattr(sys, "argv", ["package/__main__.py"])
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    with pytest.raises(SystemExit, match="0"):
        run_app(failing(ValueError()), "package", "my-program", ["--show-completion"])
    said = capsys.readouterr().out
    assert "_MY_PROGRAM_COMPLETE=complete_bash" in said
    assert "complete -o default -F _my_program_completion my-program" in said
