"""Configuration schema of a promotion, behind `configs/promote.yaml`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore

from search.config.bounds import check_bounds
from search.config.checks import check_loss
from search.config.schema import (
    ConfigError,
    Count,
    Decay,
    Natural,
    NonNegative,
    PhotographCount,
    Seed,
)
from space.codec.codec import LAMBDA_HIGH, LAMBDA_LOW
from space.codec.precision import BRANCH_DTYPES

WARM_UP_SHARE, LEAST_WARM_UP_STEPS = 0.2, 50
"""Fraction of a phase's steps in which the learning rates rise, and the smallest number of such
steps."""


@dataclass
class RecipePhase:
    """One phase of full training, with the weights of the terms of its distortion.

    The weight of the bit rate follows from the quality level.
    """

    steps: Natural = 0
    """Training steps of the phase."""
    rate: NonNegative = 1.0
    """Peak learning rates of this phase, as a fraction of the recipe's learning rates."""
    hold: Decay = 0.0
    """Fraction of the steps after the rise in which the learning rates stay at their peak."""
    loss: dict[str, float] = field(default_factory=dict)
    """Weight of each metric in the distortion, as in `proxy.loss`."""
    tiling: NonNegative = 0.0
    """Weight of the L1 error at low resolutions. Such errors make the seams of tiles visible."""
    text: NonNegative = 0.0
    """Weight of the L1 error inside text."""
    gan: NonNegative = 0.0
    """Weight of the loss from the patch critic, which is applied outside text."""
    gan_warm_up: Natural = 0
    """Steps over which the weight `gan` rises from zero while the critic already learns."""


@dataclass
class Recipe:
    """Full training in PICO's two phases (arXiv 2605.05148): MSE, then perceptual."""

    name: str = "quick"
    """Name of the recipe, which is that of its file in `configs/recipe`."""
    crops: Count = 2000
    """Number of training crops, which are cut once and kept in memory, 0.2 MB each."""
    batch: Count = 2
    """Crops of 256x256 per step and process."""
    trunk_lr: NonNegative = 2e-4
    """Learning rate of the convolutions that the initialisation fills."""
    branch_lr: NonNegative = 2e-3
    """Learning rate of all other weights, as in `proxy.branch_lr`."""
    context_share: NonNegative = 0.1
    """Learning rate of the context model, as a fraction of `branch_lr`."""
    critic_lr: NonNegative = 2e-4
    """Learning rate of the patch critic."""
    lambda_low: NonNegative = LAMBDA_LOW
    """Lambda of the lowest quality level, for a squared error in units of 8-bit steps. The lambdas
    between are spaced evenly in their logarithms."""
    lambda_high: NonNegative = LAMBDA_HIGH
    """Lambda of the highest quality level, as `lambda_low`."""
    branch_dtype: str = "float32"
    """Precision of the wide convolutions, one of `BRANCH_DTYPES`. A CPU or GPU that multiplies
    bfloat16 needs about a third less time for a step with it."""
    average: Decay = 0.998
    """Decay per step of the moving average of the weights. The averaged weights are the model."""
    validate_every: Count = 500
    """Steps between validations, which measure curves and save a picture of held-out crops."""
    mse: RecipePhase = field(default_factory=RecipePhase)
    perceptual: RecipePhase = field(default_factory=RecipePhase)

    @property
    def phases(self) -> tuple[RecipePhase, RecipePhase]:
        """Both phases in order."""
        return self.mse, self.perceptual

    @property
    def masked(self) -> bool:
        """Whether a phase needs text masks."""
        return any(phase.steps and (phase.text or phase.gan) for phase in self.phases)

    @property
    def steps(self) -> int:
        """Training steps of both phases together."""
        return sum(phase.steps for phase in self.phases)

    def at(self, step: int) -> tuple[RecipePhase, int]:
        """The phase of a step in [0, steps), and the step's index within it."""
        in_mse = step < self.mse.steps
        return (self.mse, step) if in_mse else (self.perceptual, step - self.mse.steps)

    def lr_share(self, step: int) -> float:
        """Learning rates at a step in [0, steps), as a fraction of the recipe's learning rates.

        In each phase the fraction rises linearly, stays for the share `hold` of the remaining
        steps, then falls along a cosine.
        """
        phase, done = self.at(step)
        rising = max(LEAST_WARM_UP_STEPS, round(WARM_UP_SHARE * phase.steps))
        if done < rising:
            return phase.rate * (done + 1) / rising
        fallen = (done - rising) / max(1, phase.steps - rising)
        fallen = max(0.0, fallen - phase.hold) / (1 - phase.hold)
        return phase.rate * 0.5 * (1 + math.cos(math.pi * fallen))


@dataclass
class Photos:
    """Photographs for training and validation."""

    root: str | None = None
    """Folder of photographs; by default that of the run."""
    max_photographs: PhotographCount = 400
    """Largest number of photographs used."""
    select_crops: Count = 12
    """Largest number of held-out crops for validation."""


@dataclass
class Promotion:
    """Configuration of `python -m search promote`, except for the run and the selection."""

    recipe: Recipe = field(default_factory=Recipe)
    name: str | None = None
    """Models are written to `promoted/ID-NAME` below the run; by default the recipe's name."""
    start: str = "inherit"
    """Starting weights. `inherit` takes the weights from which the run's candidates started, and
    `initialisation` uses no trained weights. Any other value is the path of a supernet file, or of
    the folder of an earlier promotion of the same architecture."""
    seed: Seed = 0
    """Seed of all random draws."""
    data: Photos = field(default_factory=Photos)
    at_once: Count | None = None
    """Number of models trained in parallel; by default one per GPU, or per CPU if there is none."""
    processes: Count = 1
    """Number of processes that train one model together, one GPU each if available."""
    retries: Natural = 3
    """Largest number of times that the training of a model is resumed after its worker died."""
    address: str | None = None
    """Address of a Ray cluster to join, whose nodes must share the run's folder; by default a local
    one is started."""


def check(promotion: Promotion) -> None:
    """Raise ConfigError if any value is invalid."""
    check_bounds(promotion)
    recipe = promotion.recipe
    if not recipe.steps:
        raise ConfigError(
            "recipe.mse.steps=0 and recipe.perceptual.steps=0: expected at least one step"
        )
    if not 0 < recipe.lambda_low < recipe.lambda_high:
        raise ConfigError(
            f"recipe.lambda_low={recipe.lambda_low:g} and recipe.lambda_high="
            f"{recipe.lambda_high:g}: expected 0 < lambda_low < lambda_high"
        )
    if recipe.branch_dtype not in BRANCH_DTYPES:
        raise ConfigError(
            f"recipe.branch_dtype={recipe.branch_dtype}: expected {' or '.join(BRANCH_DTYPES)}"
        )
    for name, phase in (("mse", recipe.mse), ("perceptual", recipe.perceptual)):
        if phase.steps:
            check_loss(f"recipe.{name}.loss", phase.loss)


ConfigStore.instance().store(name="promotion", node=Promotion)
