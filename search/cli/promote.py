"""The command `promote`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from latency_predictor.cli.errors import continuing
from latency_predictor.cli.values import whole_number
from latency_predictor.errors import UserError
from search.cli.options import Root, RunName

if TYPE_CHECKING:
    from search.promotion.recipe import Promotion

PROMOTION_PATHS = ("data.root", "start")
"""Keys of `Promotion` whose values are paths, which Hydra must not parse."""
LOSS_PREFIXES = ("recipe.mse.loss.", "recipe.perceptual.loss.")
"""Prefixes of the keys of metric weights."""


def _milliseconds(text: str) -> float:
    """Parse a number of milliseconds. Raises BadParameter."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise typer.BadParameter(f"'{text}' is not a number of milliseconds above 0")
    return value


def promote(
    run: RunName,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", show_default=False, help="Changed values of the training."
        ),
    ] = None,
    *,
    id: Annotated[
        list[str] | None, typer.Option(metavar="ID...", help="Candidates by their ids.")
    ] = None,
    best_under_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            parser=_milliseconds,
            help="Candidate of lowest BD-rate among those predicted to decode in MS or less.",
        ),
    ] = None,
    end_to_end: Annotated[
        bool,
        typer.Option(
            "--end-to-end", help="The time of --best-under-ms includes entropy coding on a CPU."
        ),
    ] = False,
    knee: Annotated[bool, typer.Option("--knee", help="Knee of the front.")] = False,
    shortlist: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=whole_number(1), help="N best candidates; PICO trained 20."
        ),
    ] = None,
    root: Root,
) -> None:
    """Fully train candidates of a run.

    Each model gets its own folder below RUN/promoted with checkpoints, losses, TensorBoard logs,
    pictures and a card. The same command continues after an interruption.

    Values of the training are recipe=quick, cpu_hours, standard or pico, recipe.KEY=...,
    data.root=~/Pictures, start=inherit, initialisation, FILE or FOLDER, name=NAME, seed=0,
    at_once=2, processes=1, retries=3, address=auto. docs/reference/promotion.md explains them.
    """
    from latency_predictor.cli.console import make_console
    from search.promotion.promote import promote as train
    from search.promotion.shortlist import Selection
    from search.study.folders import find_run

    if end_to_end and best_under_ms is None:
        raise UserError("--end-to-end: expected only with --best-under-ms")
    selection = Selection(tuple(id or ()), best_under_ms, end_to_end, knee, shortlist)
    if selection.empty:
        raise UserError(
            "no candidate chosen; expected --id ID, --best-under-ms MS, --knee or --shortlist N"
        )
    promotion = _composed(overrides or [])
    console = make_console()
    with continuing():
        folders = train(find_run(run, root), selection, promotion, console)
    for folder in folders:
        console.print(f"Model: {folder}", highlight=False)
    console.print(
        f"Try it: python -m search encode photo.heic photo.pcd --model {folders[0]}",
        highlight=False,
        soft_wrap=True,
    )


def _composed(overrides: Sequence[str]) -> Promotion:
    """Compose the configuration from overrides. Raises ConfigError."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from search.cli.overrides import (
        check_overrides,
        check_paths,
        for_hydra,
        names_of,
        readable_errors,
    )
    from search.config.schema import CONFIGS, ConfigError
    from search.promotion.recipe import Promotion

    check_overrides(overrides, set(names_of(asdict(Promotion()))), LOSS_PREFIXES)
    check_paths(overrides, PROMOTION_PATHS)
    recipes = sorted(path.stem for path in (CONFIGS / "recipe").glob("*.yaml"))
    for word in overrides:
        key, _, value = word.partition("=")
        if key.partition("@")[0] == "recipe" and value not in recipes:
            raise ConfigError(f"{word}: expected one of {', '.join(recipes)}")
    # The plus signs allow metrics that the recipe does not list.
    added = [f"++{word}" if word.startswith(LOSS_PREFIXES) else word for word in overrides]
    with readable_errors(), initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = compose("promote", [for_hydra(word, PROMOTION_PATHS) for word in added])
        promotion = OmegaConf.to_object(composed)
    assert isinstance(promotion, Promotion)
    return promotion
