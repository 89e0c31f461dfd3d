"""Every number of a configuration has bounds, and what lies outside them is refused by its key."""

import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest
from omegaconf import OmegaConf

from search.config.bounds import check_bounds
from search.config.schema import Config, ConfigError
from search.promotion.recipe import Promotion

Kind = type[Config] | type[Promotion]

COUNTS: dict[Kind, dict[str, int]] = {
    Config: {
        "run.seed": 0, "data.max_photographs": 2, "data.train_crops": 1, "data.select_crops": 1,
        "proxy.steps": 0, "proxy.batch": 1, "search.trials": 1, "search.start_trials": 0,
        "search.workers": 1, "search.screened": 1, "pretrain.validate_every": 1,
        "pretrain.joint.steps": 0, "pretrain.joint.subnets": 1, "pretrain.joint.batch": 1,
        "pretrain.entropy.steps": 0, "pretrain.entropy.subnets": 1, "pretrain.entropy.batch": 1,
        "pretrain.entropy.crops": 1,
    },
    Promotion: {
        "seed": 0, "at_once": 1, "processes": 1, "retries": 0, "data.max_photographs": 2,
        "data.select_crops": 1, "recipe.crops": 1, "recipe.batch": 1, "recipe.validate_every": 1,
        "recipe.mse.steps": 0, "recipe.mse.gan_warm_up": 0,
        "recipe.perceptual.steps": 0, "recipe.perceptual.gan_warm_up": 0,
    },
}  # fmt: skip
"""Smallest accepted value of each whole number."""
AMOUNTS: dict[Kind, list[str]] = {
    Config: [
        "proxy.trunk_lr", "proxy.branch_lr", "pretrain.joint.trunk_lr", "pretrain.joint.branch_lr",
        "pretrain.joint.context_share", "pretrain.joint.last_share", "pretrain.entropy.lr",
    ],
    Promotion: [
        "recipe.trunk_lr", "recipe.branch_lr", "recipe.context_share", "recipe.critic_lr",
        "recipe.lambda_low", "recipe.lambda_high",
        *(f"recipe.{phase}.{name}" for phase in ("mse", "perceptual")
          for name in ("rate", "tiling", "text", "gan")),
    ],
}  # fmt: skip
"""Finite numbers of at least 0."""
DECAYS: dict[Kind, list[str]] = {
    Config: ["pretrain.joint.average", "pretrain.entropy.average"],
    Promotion: ["recipe.average", "recipe.mse.hold", "recipe.perceptual.hold"],
}
"""Numbers in [0, 1)."""
OTHERS: dict[Kind, str] = {
    Config: r"search\.(target_ms|tolerance|trial_minutes)|constraints\..*", Promotion: "-"
}  # fmt: skip
"""Numbers whose bounds depend on other keys, and bounds on costs, which any number can be."""


def check_with(kind: Kind, key: str, value: float) -> None:
    tree = OmegaConf.structured(kind)
    OmegaConf.update(tree, key, value)
    check_bounds(OmegaConf.to_object(tree))  # type: ignore[arg-type]


def pairs(keys: dict[Kind, list[str]]) -> list[tuple[Kind, str]]:
    return [(kind, key) for kind, found in keys.items() for key in found]


def refused(kind: Kind, key: str, value: float, expected: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{re.escape(key)}={value:g}: expected {expected}$"):
        check_with(kind, key, value)


@pytest.mark.parametrize(
    ("kind", "key", "least"),
    [(kind, key, least) for kind, keys in COUNTS.items() for key, least in keys.items()],
)
def test_whole_numbers(kind: Kind, key: str, least: int) -> None:
    check_with(kind, key, least)
    refused(kind, key, least - 1, f"at least {least}")


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, keys in AMOUNTS.items() for key in keys]
)
def test_amounts(kind: Kind, key: str) -> None:
    for value in (0.0, 1e9):
        check_with(kind, key, value)
    refused(kind, key, -1e-9, "at least 0")
    for value in (math.inf, math.nan):
        refused(kind, key, value, "a finite number")


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, keys in DECAYS.items() for key in keys]
)
def test_decays(kind: Kind, key: str) -> None:
    for value in (0.0, math.nextafter(1, 0)):
        check_with(kind, key, value)
    refused(kind, key, -1e-9, "at least 0")
    for value in (1.0, math.inf, math.nan):
        refused(kind, key, value, "less than 1")


@pytest.mark.parametrize(("kind", "key"), [(Config, "run.seed"), (Promotion, "seed")])
def test_seeds_fit_into_the_generators(kind: Kind, key: str) -> None:
    check_with(kind, key, 2**63 - 1)
    with pytest.raises(ConfigError, match=f"{key}={2**63}: expected at most {2**63 - 1}"):
        check_with(kind, key, 2**63)


@pytest.mark.parametrize("kind", COUNTS)
def test_no_number_is_without_bounds(kind: Kind) -> None:
    tested = {*COUNTS[kind], *AMOUNTS[kind], *DECAYS[kind]}
    assert {key for key in numbers(kind) if not re.fullmatch(OTHERS[kind], key)} == tested


def numbers(kind: type) -> Iterator[str]:
    """Dotted keys of all numbers, optional ones included."""
    types = get_type_hints(kind)
    for one in fields(kind):
        found = types[one.name]
        if is_dataclass(found):
            yield from (f"{one.name}.{key}" for key in numbers(found))  # type: ignore[arg-type]
        elif found in (int, float, int | None, float | None):
            yield one.name


@pytest.mark.parametrize("minutes", [0.0, -1.0])
def test_a_time_limit_is_above_0(minutes: float) -> None:
    check_with(Config, "search.trial_minutes", 1e-3)
    refused(Config, "search.trial_minutes", minutes, "above 0")
