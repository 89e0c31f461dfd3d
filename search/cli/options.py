"""Arguments and options that several commands have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from latency_predictor.cli.values import path, whole_number


def _default_root() -> Path:
    """The default of `run.root`, imported when a command runs, as the import takes long."""
    from search.study.folders import ROOT

    return ROOT


def path_or_default(value: str | Path) -> Path:
    """Parse the value of an option with a default, which Typer passes to the parser too."""
    return path(str(value))


def path_text(text: str) -> str:
    """Parse an argument that is a path or a name. Raises BadParameter if it is empty."""
    return str(path(text))


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        show_default=False,
        help="A space as +space=NAME, and changed values of keys.",
    ),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN", parser=path_text, help="Folder of a run, or its name below --root."
    ),
]
Root = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        parser=path_or_default,
        default_factory=_default_root,
        show_default=False,
        help="Folder that holds the runs; by default that of run.root.",
    ),
]


def available_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _thread_count(value: str | int) -> int:
    """Parse a number of threads, or Typer's default, which is one already."""
    return whole_number(1)(str(value))


Threads = Annotated[
    int,
    typer.Option(
        metavar="N",
        parser=_thread_count,
        default_factory=available_cores,
        show_default="all cores",
        help="Number of tiles of 504x504 pixels that are coded at a time.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        parser=path,
        help="Folder to write several files to, which keep their names.",
    ),
]
ModelPath = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        parser=path,
        show_default="the shipped model",
        help="Model written by train or promote.",
    ),
]
