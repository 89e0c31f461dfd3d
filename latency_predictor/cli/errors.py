"""The one place where errors of a command become a line on standard error and an exit code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import typer

from latency_predictor.errors import InputWarning, UserError
from latency_predictor.interruption import exit_code_of_signal, handled
from latency_predictor.printable import printable, without_passwords

BAD_INPUT = 2
"""Exit code after an error that a user can correct."""


def run_app(app: typer.Typer, package: str, script: str, arguments: Sequence[str]) -> int:
    """Run the command that the arguments name and return its exit code.

    `package` is the word after `python -m` by which the app is called, and `script` is the app's
    name once it is installed. Without arguments, the help of the app is printed and the exit code
    is 2. The exit code is 130 after Ctrl-C, 143 after SIGTERM, and 129 after SIGHUP.
    """
    # A shell can complete the words after a script only.
    installs = bool(arguments) and arguments[0] in ("--install-completion", "--show-completion")
    with handled():
        code = exit_code(
            lambda: _call(
                app,
                list(arguments) or ["--help"],
                script if installs else f"python -m {package}",
                f"_{script.replace('-', '_').upper()}_COMPLETE",
            )
        )
    return exit_code_of_signal() or (code if arguments else BAD_INPUT)


def exit_code(work: Callable[[], int | None]) -> int:
    """Call `work` and return its exit code.

    Each `InputWarning` is printed in one line afterwards. An error that a user can correct is
    printed in one line together with the warnings before it, and the exit code is 2.
    """
    warned: list[str] = []
    try:
        with _input_warnings(warned):
            code = work() or 0
    except typer.TyperException as error:
        message = error.format_message()
    except (OSError, UserError) as error:
        message = str(error)
    else:
        for warning in warned:
            _print_line(f"Warning: {warning}")
        return code
    _print_line("; ".join([message, *warned]))
    return BAD_INPUT


def print_error(message: str) -> None:
    """Print the message of an error after which a command goes on."""
    _print_line(message)


def _print_line(message: str) -> None:
    """Print a message to standard error in one line that any terminal can show.

    Messages of torch and pyarrow may have several lines. Passwords in URLs are not shown.
    """
    lines = (line.strip() for line in without_passwords(message).split("\n"))
    print(printable(" ".join(line for line in lines if line)), file=sys.stderr)


@contextmanager
def _input_warnings(found: list[str]) -> Iterator[None]:
    """Collect the messages of the `InputWarning`s in the block, each once."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        shown = warnings.showwarning

        def show(
            message: Warning | str, category: type[Warning], *place: Any, **options: Any
        ) -> None:
            if not issubclass(category, InputWarning):
                shown(message, category, *place, **options)
            elif str(message) not in found:
                found.append(str(message))

        warnings.showwarning = show
        yield


@contextmanager
def continuing() -> Iterator[None]:
    """If a signal interrupts the block, say that the same command continues the work."""
    try:
        yield
    except KeyboardInterrupt:
        print("Interrupted. The same command continues.", file=sys.stderr)
        raise


def _call(app: typer.Typer, arguments: list[str], program: str, complete_var: str) -> int | None:
    """Run a command. Returns its exit code, or None if it has none."""
    known = [str(command.name) for command in app.registered_commands]
    known += [str(group.name) for group in app.registered_groups]
    _check_command(arguments[0], known)
    # Typer itself returns 130 after KeyboardInterrupt.
    return app(arguments, prog_name=program, complete_var=complete_var, standalone_mode=False)


def _check_command(name: str, known: Sequence[str]) -> None:
    """Raise UserError for the name of an unknown command."""
    if name not in known and not name.startswith("-"):
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(known)}"
        raise UserError(f"unknown command '{printable(name)}'; {hint}")
