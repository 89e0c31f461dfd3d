"""Settings and help texts of two command lines: this package's and that of `search`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

APP: dict[str, Any] = {
    "context_settings": {"help_option_names": ["-h", "--help"]},
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}
"""Settings of a Typer app. The output is plain text, so that an error is one line."""


def add_command(
    app: typer.Typer,
    call: str,
    function: Callable[..., Any],
    *examples: str,
    **settings: Any,
) -> None:
    """Add a command to an app. The command's description is the function's docstring.

    `call` is the command line up to the command's arguments, such as `python -m search encode`. Its
    last word is the command's name. `examples` are arguments that the end of the help shows.
    """
    lines = (f"  {call} {example}".rstrip() for example in examples)
    # The line with a backspace keeps Typer from filling the lines that follow.
    epilog = "\n".join(["\b", "Examples:", *lines])
    app.command(call.split()[-1], epilog=epilog, **settings)(function)
