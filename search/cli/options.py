"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latency_predictor.cli.values import path


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
