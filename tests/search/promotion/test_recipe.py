import math

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from search.config.schema import CONFIGS, ConfigError
from search.promotion.recipe import Promotion, Recipe, RecipePhase, check

RECIPES = sorted(path.stem for path in (CONFIGS / "recipe").glob("*.yaml"))


def composed(*overrides: str) -> Promotion:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        promotion = OmegaConf.to_object(compose("promote", list(overrides)))
    assert isinstance(promotion, Promotion)
    return promotion


@pytest.mark.parametrize("name", RECIPES)
def test_every_shipped_recipe_can_be_trained(name: str) -> None:
    promotion = composed(f"recipe={name}")
    check(promotion)
    assert promotion.recipe.name == name


@given(st.integers(0, 40), st.integers(1, 400), st.floats(0.1, 2.0))
def test_rates_rise_once_and_fall_in_each_phase(mse: int, perceptual: int, peak: float) -> None:
    recipe = Recipe(mse=RecipePhase(steps=mse), perceptual=RecipePhase(steps=perceptual, rate=peak))
    shares = [recipe.lr_share(step) for step in range(mse, recipe.steps)]
    assert max(shares) <= peak * (1 + 1e-12)
    top = shares.index(max(shares))
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    if perceptual >= 250:
        # A cosine's last step of so many.
        left = perceptual - round(0.2 * perceptual)
        expected = peak * 0.5 * (1 + math.cos(math.pi * (1 - 1 / left)))
        assert shares[-1] == pytest.approx(expected)


@given(st.integers(100, 400), st.floats(0, 0.95))
def test_rates_are_held_and_then_fall_to_nothing(steps: int, hold: float) -> None:
    recipe = Recipe(perceptual=RecipePhase(steps=steps, hold=hold))
    shares = [recipe.lr_share(step) for step in range(steps)]
    risen = max(50, round(0.2 * steps))
    held = math.floor(hold * (steps - risen))
    assert shares[risen : risen + held] == [1.0] * held
    assert shares[risen + held :] == sorted(shares[risen + held :], reverse=True)
    assert shares[-1] < 0.05 + 1 / (steps - risen - held)


def test_a_step_belongs_to_its_phase() -> None:
    recipe = Recipe(mse=RecipePhase(steps=3), perceptual=RecipePhase(steps=2))
    assert [recipe.at(step)[1] for step in range(5)] == [0, 1, 2, 0, 1]
    assert [recipe.at(step)[0] is recipe.mse for step in range(5)] == [True] * 3 + [False] * 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe.perceptual.steps=-1", "recipe.perceptual.steps=-1: expected at least 0"),
        ("recipe.lambda_low=0.2", "lambda_low=0.2 and recipe.lambda_high=0.1: expected 0 < lambda"),
        ("recipe.perceptual.hold=1", "recipe.perceptual.hold=1: expected less than 1"),
        ("recipe.average=1", "recipe.average=1: expected less than 1"),
        (
            "recipe.branch_dtype=half",
            "recipe.branch_dtype=half: expected float32 or bfloat16",
        ),
        ("recipe.perceptual.steps=0", "recipe.perceptual.steps=0: expected at least one step"),
        ("recipe.perceptual.loss.psnr=-1", "recipe.perceptual.loss: weight -1.0 of metric psnr"),
        ("recipe.branch_lr=inf", "recipe.branch_lr=inf: expected a finite number"),
        ("seed=99999999999999999999", "seed=99999999999999999999: expected at most 9223"),
        ("data.select_crops=0", "data.select_crops=0: expected at least 1"),
        ("processes=0", "processes=0: expected at least 1"),
    ],
)
def test_what_cannot_be_trained_is_said(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(composed(override))
