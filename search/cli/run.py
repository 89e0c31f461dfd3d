"""The command `run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from search.cli.options import Words

if TYPE_CHECKING:
    from rich.console import Console

    from search.config.schema import Config


def run(context: typer.Context, words: Words = None) -> None:
    """Search a space for codecs, or continue a run.

    A run is a folder below run.root. Its name is run.name, or else that of its space. The same
    command continues the run after an interruption. Options of Hydra are passed on, such as
    --multirun, or --cfg job, which prints the configuration. --hydra-help lists them.
    """
    from search.cli.overrides import for_each

    for_each(context, words or [], _search)


def _search(config: Config, console: Console) -> None:
    from search.study.run import run as search

    folder = search(config, console)
    console.print(f"Report: {folder / 'report.html'}", highlight=False)
