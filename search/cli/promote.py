"""The command `promote`, which fully trains candidates of a run.

Errors that a user can fix end in one line on standard error and exit code 2.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from latency_predictor.errors import UserError
from search.cli.bench import at_least_one
from search.cli.commands import INTERRUPTED, check_overrides, for_hydra, names_of
from search.config.schema import CONFIGS, ConfigError

if TYPE_CHECKING:
    from search.promotion.recipe import Promotion

PATHS = ("data.root", "start")
"""Keys whose values are paths, which Hydra must not parse."""
LOSSES = ("recipe.mse.loss.", "recipe.perceptual.loss.")
"""Prefixes of the keys of metric weights."""


def promote(words: list[str]) -> int:
    """`promote RUN --id ID [recipe=...]`: fully train candidates of a run."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from rich.console import Console

    from search.promotion.promote import promote as work
    from search.promotion.shortlist import Selection

    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    parser = _parser()
    arguments = parser.parse_args([word for word in words if word not in overrides])
    selection = Selection(
        tuple(arguments.id), arguments.best_under_ms, arguments.knee, arguments.shortlist
    )
    if selection.empty:
        parser.error(
            "no candidate chosen; expected --id ID, --best-under-ms MS, --knee or --shortlist N"
        )
    console = Console(soft_wrap=True, markup=False)
    try:
        folders = work(arguments.run, selection, _composed(overrides), console)
    except (HydraException, OmegaConfBaseException) as error:
        # The first line of the cause says what is wrong; the others are OmegaConf's internals.
        lines = (str(part or "").partition("\n")[0] for part in (error, error.__cause__))
        print(*lines, file=sys.stderr)
        return 2
    except (OSError, UserError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        console.print("Interrupted. The same command continues.")
        return INTERRUPTED
    for folder in folders:
        console.print(f"Model: {folder}", highlight=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m search promote",
        description="Fully train candidates of a run. Each model gets its own folder below "
        "RUN/promoted with checkpoints, losses, TensorBoard logs, pictures and a card. The same "
        "command continues after an interruption.",
        epilog="Training is configured by key=value: recipe=quick, standard or pico, "
        "recipe.KEY=..., data.root=~/Pictures, start=inherit, initialisation, FILE or FOLDER, "
        "name=NAME, seed=0, at_once=2, processes=1, retries=3, address=auto; "
        "search/promotion/recipe.py documents every key.",
    )
    parser.add_argument("run", metavar="RUN", help="folder of a run, or its name below results/")
    parser.add_argument("--id", nargs="+", default=[], metavar="ID", help="ids of candidates")
    parser.add_argument(
        "--best-under-ms", type=_milliseconds, metavar="MS",
        help="candidate of lowest BD-rate among those predicted to decode in MS or less",
    )  # fmt: skip
    parser.add_argument("--knee", action="store_true", help="knee of the front")
    parser.add_argument(
        "--shortlist", type=at_least_one, metavar="N", help="N best candidates; PICO trained 20"
    )
    return parser


def _composed(overrides: list[str]) -> Promotion:
    """Compose the configuration from overrides. Raises ConfigError and Hydra's errors."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from search.promotion.recipe import Promotion

    check_overrides(overrides, set(names_of(asdict(Promotion()))), LOSSES)
    recipes = sorted(path.stem for path in (CONFIGS / "recipe").glob("*.yaml"))
    for word in overrides:
        key, _, value = word.partition("=")
        if key.partition("@")[0] == "recipe" and value not in recipes:
            raise ConfigError(f"{word}: expected one of {', '.join(recipes)}")
    # The plus signs allow metrics that the recipe does not list.
    added = [f"++{word}" if word.startswith(LOSSES) else word for word in overrides]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = compose("promote", [for_hydra(word, PATHS) for word in added])
    promotion = OmegaConf.to_object(composed)
    assert isinstance(promotion, Promotion)
    return promotion


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


_milliseconds.__name__ = "number of milliseconds above 0"
