"""The command line: `python -m search COMMAND [overrides]`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from search.cli.bench import bench
from search.cli.codec import decode, encode, train
from search.cli.commands import pretrain, report, run
from search.cli.export import export
from search.cli.promote import promote

COMMANDS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "run": (run, "+space=NAME [key=value ...]   search a space; continues a run of the same name"),
    "pretrain": (
        pretrain,
        "+space=NAME [key=value ...]   train a supernet, whose slices are candidates",
    ),
    "report": (
        report,
        "RUN                           write the report of a run, by name or folder",
    ),
    "promote": (
        promote,
        "RUN --id ID [recipe=quick]    train candidates of a run to the end",
    ),
    "train": (
        train,
        "POINT MODEL                   train an architecture briefly into a model that codes files",
    ),
    "encode": (encode, "IMAGE OUT --model M           compress a photograph"),
    "decode": (decode, "FILE OUT --model M            decode a file of encode to PNG"),
    "export": (
        export,
        "MODEL [--out DIR]             write Core ML packages, ONNX, tables and a manifest",
    ),
    "bench": (bench, "PHOTOS [--model M]             compare codecs and models over photographs"),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print("usage: python -m search COMMAND ...\n")
        for name, (_, summary) in COMMANDS.items():
            print(f"  {name:8}{summary}")
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(COMMANDS)}"
        print(f"unknown command '{name}'; {hint}", file=sys.stderr)
        return 2
    return COMMANDS[name][0](rest)


if __name__ == "__main__":
    # Libraries that compressai and piq require raise these warnings at import.
    warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
    sys.exit(main(sys.argv[1:]))
