"""The command `bench`, which compares codecs and models on a folder of photographs.

Errors that a user can fix end in one line on standard error and exit code 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from latency_predictor.errors import UserError
from search.cli.commands import INTERRUPTED

if TYPE_CHECKING:
    from search.bench.run import Request


def bench(words: list[str]) -> int:
    """`bench PHOTOS [--model M]`: measure codecs, write a report and print the BD-rates."""
    from rich.console import Console

    from search.bench import run
    from search.promotion.card import keep_bench

    arguments = _parser().parse_args(words)
    try:
        request = _request(arguments)
        report, summary = run.bench(request, Console(stderr=True))
        for model in arguments.model:
            folder = model if model.is_dir() else model.parent
            keep_bench(folder, request.photographs, report, summary, request.metrics)
    except (OSError, UserError) as error:
        print(*(line.strip() for line in str(error).splitlines()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted. The same command continues.", file=sys.stderr)
        return INTERRUPTED
    print("\n\n".join([*summary, f"Report: {report}"]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m search bench",
        description="Compare codecs and models on photographs. Measurements are kept: the same "
        "command continues after an interruption, and another command with the same --out measures "
        "only what is missing.",
    )
    parser.add_argument(
        "photographs", metavar="PHOTOS", help="folder of photographs, searched recursively"
    )
    parser.add_argument(
        "--model",
        type=Path,
        action="extend",
        nargs="+",
        default=[],
        help="models written by `train` or `promote`",
    )
    parser.add_argument(
        "--codecs", type=_names, metavar="NAMES",
        help="names separated by commas: jpeg, webp, avif, heic, jxl (the default), vvc, av1",
    )  # fmt: skip
    parser.add_argument(
        "--anchor", default="jpeg", metavar="NAME",
        help="codec or model that the others are compared with (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--metrics", type=_names, metavar="NAMES",
        help="names separated by commas (default: all that need no optional package)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("results/bench"), metavar="DIR",
        help="folder for measurements and the report (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=at_least_one, default=os.cpu_count() or 1, metavar="N",
        help="number of single-threaded processes (default: one per core, %(default)s)",
    )  # fmt: skip
    return parser


def _request(arguments: argparse.Namespace) -> Request:
    """The request of the arguments. Raises CodecError, MetricError or BenchError if invalid."""
    from search.bench.anchors import BUILT_IN
    from search.bench.measure import name_of
    from search.bench.run import BenchError, Request
    from search.metrics import METRICS, find

    models = {name_of(path): path for path in arguments.model}
    sources = [*(arguments.codecs or BUILT_IN), *arguments.model]
    anchor = models.get(arguments.anchor, arguments.anchor)
    metrics = arguments.metrics or tuple(METRICS)
    for name in metrics:
        find(name)
    if arguments.out.resolve() in [path.resolve() for path in arguments.model]:
        raise BenchError(f"--out {arguments.out}: is the folder of a model; choose another folder")
    return Request(
        photographs=arguments.photographs,
        sources=(anchor, *(source for source in sources if source != anchor)),
        metrics=metrics,
        out=arguments.out,
        workers=arguments.workers,
    )


def _names(text: str) -> tuple[str, ...]:
    """Split names at commas and remove duplicates. Raises ValueError for an empty name."""
    names = tuple(dict.fromkeys(text.split(",")))
    if "" in names:
        raise ValueError(text)
    return names


def at_least_one(text: str) -> int:
    """Parse a whole number of at least 1. Raises ValueError."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


_names.__name__ = "list of names separated by commas"
at_least_one.__name__ = "whole number of at least 1"
