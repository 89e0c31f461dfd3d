"""The command line: `python -m latency_predictor COMMAND`; see `COMMANDS`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from latency_predictor import model_commands, profiling_commands
from latency_predictor.devices import UnknownDevice

Command = Callable[[argparse.Namespace], dict[str, Any]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and print its JSON; 0, or 2 with one line on stderr for bad input."""
    from latency_predictor.artefact import ArtefactError
    from latency_predictor.few_shot import TooFewRows
    from latency_predictor.networks import UnknownNetwork
    from latency_predictor.profiles import ProfileError

    argv = sys.argv[1:] if argv is None else argv
    parser = _parser()
    _check_command(parser, argv)
    options = parser.parse_args(argv)
    command: Command = options.command
    try:
        print(json.dumps(command(options), indent=2))
    except (
        ArtefactError, ProfileError, TooFewRows, UnknownDevice, UnknownNetwork, OSError,
        *profiling_commands.ERRORS,
    ) as error:  # fmt: skip
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
    """argparse with one line per error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def _check_command(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Stop at an unknown command with the near misses, which argparse would not name."""
    if argv and not argv[0].startswith("-") and argv[0] not in COMMANDS:
        near = get_close_matches(argv[0], COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        parser.error(f"unknown command {argv[0]!r}; commands: {', '.join(COMMANDS)}{hint}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m latency_predictor", description="How long a network takes on a phone."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    model_commands.add_parsers(commands)
    profiling_commands.add_parsers(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
