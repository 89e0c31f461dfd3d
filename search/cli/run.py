"""The command `run`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Words

if TYPE_CHECKING:
    from rich.console import Console

    from search.config.schema import Config


def run(
    context: typer.Context,
    words: Words = None,
    *,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the result as JSON for scripts, and all else on standard error."
        ),
    ] = False,
) -> None:
    """Search a space for codecs, or continue a run.

    A run is a folder below run.root. Its name is run.name, or else that of its space. The same
    command continues the run after an interruption. Options of Hydra are passed on, such as
    --multirun, or --cfg job, which prints the configuration. --hydra-help lists them.
    """
    from search.cli.overrides import for_each

    for_each(context, words or [], partial(_search, as_json), to_stderr=as_json)


def _search(as_json: bool, config: Config, console: Console) -> None:
    from search.report.json_document import run_document, to_text
    from search.report.terminal import print_best
    from search.study.run import run as search

    folder = search(config, console)
    if as_json:
        print(to_text(run_document(folder)))
    else:
        print_best(folder, console)
    console.print(f"Report: {folder / 'report.html'}", highlight=False)
