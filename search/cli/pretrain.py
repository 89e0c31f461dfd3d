"""The command `pretrain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from search.cli.options import Words

if TYPE_CHECKING:
    from rich.console import Console

    from search.config.schema import Config


def pretrain(context: typer.Context, words: Words = None) -> None:
    """Train a supernet, whose slices are the candidates of a run.

    The same command continues after an interruption. Options of Hydra are passed on, such as
    --cfg job, which prints the configuration. --hydra-help lists them.
    """
    from search.cli.overrides import for_each

    for_each(context, words or [], _pretrain)


def _pretrain(config: Config, console: Console) -> None:
    from search.training.pretrain import pretrain as train

    path = train(config, console)
    console.print(f"Supernet: {path}", highlight=False)
    if config.run.name:
        console.print(f"`run` uses this supernet with supernet={path}.", highlight=False)
