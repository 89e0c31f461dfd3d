"""The command `promote`: full training of candidates that a run found.

Errors that a user can mend end in one line on standard error and exit code 2.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from search.bench_commands import at_least_one
from search.commands import INTERRUPTED, check_overrides, for_hydra, names_of
from search.config import CONFIGS, ConfigError

if TYPE_CHECKING:
    from search.promotion.recipe import Promotion

PATHS = ("data.root", "start")
"""Keys whose values Hydra must not parse."""
LOSSES = ("recipe.mse.loss.", "recipe.perceptual.loss.")
"""What keys of metrics' weights begin with."""


def promote(words: list[str]) -> int:
    """`promote RUN --id ID [recipe=...]`: train candidates of a run to the end."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from rich.console import Console

    from search.checkpoint import CheckpointError
    from search.photographs import DataError
    from search.promotion.promote import PromotionFailed
    from search.promotion.promote import promote as work
    from search.promotion.shortlist import Wish
    from search.records import RecordError
    from space.parent import ParentError

    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    parser = _parser()
    arguments = parser.parse_args([word for word in words if word not in overrides])
    wish = Wish(tuple(arguments.id), arguments.best_under_ms, arguments.knee, arguments.shortlist)
    if wish.empty:
        parser.error("nothing chosen: add --id ID, --best-under-ms MS, --knee or --shortlist N")
    console = Console(soft_wrap=True, markup=False)
    try:
        folders = work(arguments.run, wish, _composed(overrides), console)
    except (HydraException, OmegaConfBaseException) as error:
        # The cause's first line says what is wrong, its others what OmegaConf calls it.
        said = (str(part or "").partition("\n")[0] for part in (error, error.__cause__))
        print(*said, file=sys.stderr)
        return 2
    except (
        CheckpointError, ConfigError, DataError, OSError, ParentError, PromotionFailed, RecordError,
    ) as error:  # fmt: skip
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
        description="Train candidates of a run to the end, each into a folder of its own below "
        "RUN/promoted, with checkpoints, losses, TensorBoard logs, pictures and a card. The same "
        "command continues what was interrupted.",
        epilog="key=value sets the training: recipe=quick, standard or pico, recipe.KEY=..., "
        "data.root=~/Pictures, start=inherit, skeleton or FOLDER, name=NAME, seed=0, at_once=2, "
        "processes=1, retries=3, address=auto; search/promotion/recipe.py documents every key.",
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its name below results/")
    parser.add_argument("--id", nargs="+", default=[], metavar="ID", help="candidates by their id")
    parser.add_argument(
        "--best-under-ms", type=_milliseconds, metavar="MS",
        help="the least BD-rate among those predicted to decode in MS or less",
    )  # fmt: skip
    parser.add_argument("--knee", action="store_true", help="the knee of the front")
    parser.add_argument(
        "--shortlist", type=at_least_one, metavar="N", help="the N best: PICO trained 20"
    )
    return parser


def _composed(overrides: list[str]) -> Promotion:
    """The configuration that the overrides describe. Raises ConfigError, and what Hydra does."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from search.promotion.recipe import Promotion

    check_overrides(overrides, set(names_of(asdict(Promotion()))), LOSSES)
    recipes = sorted(path.stem for path in (CONFIGS / "recipe").glob("*.yaml"))
    for word in overrides:
        key, _, value = word.partition("=")
        if key.partition("@")[0] == "recipe" and value not in recipes:
            raise ConfigError(f"{word}: expected one of {', '.join(recipes)}")
    # A recipe names some metrics; others are added.
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
