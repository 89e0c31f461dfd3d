"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _default_root() -> Path:
    """The default of `run.root`, imported when a command runs, as the import takes long."""
    from search.study.folders import ROOT

    return ROOT


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        show_default=False,
        help="A space as +space=NAME, and changed values of keys.",
    ),
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder of a run, or its name below --root.")
]
Root = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        default_factory=_default_root,
        show_default=False,
        help="Folder that holds the runs; by default that of run.root.",
    ),
]
ModelPath = Annotated[
    Path, typer.Option("--model", metavar="MODEL", help="Model written by train or promote.")
]
