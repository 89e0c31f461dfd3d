"""The command line `python -m latency_predictor COMMAND`; `COMMANDS` lists the commands."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from latency_predictor.cli import model_commands, profiling_commands
from latency_predictor.errors import UserError

Command = Callable[[argparse.Namespace], dict[str, Any]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and print its JSON.

    Returns the exit code: 0, or 2 after one line on stderr if the input is bad.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = _parser()
    _check_command(parser, argv)
    options = parser.parse_args(argv)
    command: Command = options.command
    try:
        print(json.dumps(command(options), indent=2))
    except (OSError, UserError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


COMMANDS: dict[str, Command] = {
    "predict": model_commands.predict,
    "evaluate": model_commands.evaluate,
    "calibrate": model_commands.calibrate,
    "suggest": model_commands.suggest,
    "kit": profiling_commands.kit,
    "profile": profiling_commands.profile,
    "import": profiling_commands.import_,
}


class _Parser(argparse.ArgumentParser):
    """Argument parser that reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def _check_command(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Reject an unknown command and suggest the nearest one, which argparse does not do."""
    if argv and not argv[0].startswith("-") and argv[0] not in COMMANDS:
        near = get_close_matches(argv[0], COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        parser.error(f"unknown command {argv[0]!r}; commands: {', '.join(COMMANDS)}{hint}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m latency_predictor",
        description="Predict how long a network takes on a phone.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    model_commands.add_parsers(commands)
    profiling_commands.add_parsers(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
