"""What a promotion is configured by: the schema behind `configs/promote.yaml`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore

from search.config import ConfigError
from search.metrics import MetricError
from search.metrics.loss import check_weights

WARM_UP, LEAST_WARM_UP = 0.2, 50
"""Share of a phase in which its learning rates rise, and least steps of it."""


@dataclass
class Phase:
    """A stretch of training by one distortion, weighed against the rate by the quality level."""

    steps: int = 0
    rate: float = 1.0
    """Of the recipe's learning rates, what this phase reaches."""
    loss: dict[str, float] = field(default_factory=dict)
    """Weight of each metric in the distortion, as in `proxy.loss`."""
    tiling: float = 0.0
    """Weight of the L1 error at low resolutions, which shows as seams of tiles."""
    text: float = 0.0
    """Weight of the L1 error inside text."""
    gan: float = 0.0
    """Weight of the patch critic, outside of text."""
    gan_warm_up: int = 0
    """Steps in which the critic learns and its weight rises from zero."""


@dataclass
class Recipe:
    """Full training in two phases, PICO's (arXiv 2605.05148): the MSE, then what people see."""

    name: str = "quick"
    crops: int = 2000
    """Crops of photographs, cut once, that batches are drawn from; 0.2 MB each, in memory."""
    batch: int = 2
    """Crops of 256x256 per step and process."""
    trunk_rate: float = 2e-4
    """Learning rate of the skeleton's convolutions."""
    branch_rate: float = 2e-3
    """Learning rate of all the rest, as `proxy.branch_rate`."""
    context_share: float = 0.1
    """Of the branches' rate, what the context's weights learn with."""
    critic_rate: float = 2e-4
    average: float = 0.998
    """Decay per step of the moving average of weights, which is the model."""
    look_every: int = 500
    """Steps between looks: curves and pictures of held-out crops."""
    mse: Phase = field(default_factory=Phase)
    perceptual: Phase = field(default_factory=Phase)

    @property
    def phases(self) -> tuple[Phase, Phase]:
        """Both, in their order."""
        return self.mse, self.perceptual

    @property
    def masked(self) -> bool:
        """Whether it must be known where text is."""
        return any(phase.steps and (phase.text or phase.gan) for phase in self.phases)

    @property
    def steps(self) -> int:
        """Of both phases."""
        return sum(phase.steps for phase in self.phases)

    def at(self, step: int) -> tuple[Phase, int]:
        """The phase of a step in [0, steps), and which of its steps it is."""
        in_mse = step < self.mse.steps
        return (self.mse, step) if in_mse else (self.perceptual, step - self.mse.steps)

    def rate_at(self, step: int) -> float:
        """Of the recipe's learning rates, what `step` takes: up a line, then down a cosine."""
        phase, done = self.at(step)
        rising = max(LEAST_WARM_UP, round(WARM_UP * phase.steps))
        if done < rising:
            return phase.rate * (done + 1) / rising
        left = (done - rising) / max(1, phase.steps - rising)
        return phase.rate * 0.5 * (1 + math.cos(math.pi * left))


@dataclass
class Photos:
    """Which photographs a model is trained on and looked at with."""

    root: str | None = None
    """Folder of photographs; by default the run's."""
    max_photographs: int = 400
    select_crops: int = 12


@dataclass
class Promotion:
    """Everything `python -m search promote` reads beside the run and its candidates."""

    recipe: Recipe = field(default_factory=Recipe)
    name: str | None = None
    """Below the run, models go to `promoted/ID-NAME`; by default the recipe's name."""
    start: str = "inherit"
    """`inherit` starts where the run's candidates did, from its parent; `skeleton` from nothing
    that was trained; else a parent's file, or the folder of an earlier promotion of the same
    architecture."""
    seed: int = 0
    data: Photos = field(default_factory=Photos)
    at_once: int | None = None
    """Models trained at a time; by default one per CPU, or per GPU where there are any."""
    processes: int = 1
    """That train one model together, each on a GPU of its own where there are any."""
    retries: int = 3
    """Times that the training of a model goes on whose worker died."""
    address: str | None = None
    """Ray cluster to join, whose nodes share the run's folder; by default one is started here."""


LEAST = {
    "crops": 1, "batch": 1, "trunk_rate": 0, "branch_rate": 0, "context_share": 0, "critic_rate": 0,
    "look_every": 1,
}  # fmt: skip
MAX_SEED = 2**63 - 1
LEAST_OF_PHASE = {"steps": 0, "rate": 0, "tiling": 0, "text": 0, "gan": 0, "gan_warm_up": 0}


def check(promotion: Promotion) -> None:
    """Raise ConfigError for a value that no training can use."""
    recipe = promotion.recipe
    for key, value, least in _least(promotion):
        if value is not None and not least <= value < math.inf:
            raise ConfigError(f"{key}={value:g}: expected a finite number of at least {least}")
    if promotion.seed > MAX_SEED:
        raise ConfigError(f"seed={promotion.seed}: expected at most {MAX_SEED}")
    if not 0 <= recipe.average < 1:
        raise ConfigError(f"recipe.average={recipe.average:g}: expected 0 or more, below 1")
    if not recipe.steps:
        raise ConfigError("recipe.mse.steps=0 and recipe.perceptual.steps=0: nothing would be done")
    for name, phase in (("mse", recipe.mse), ("perceptual", recipe.perceptual)):
        if phase.steps:
            try:
                check_weights(phase.loss)
            except MetricError as error:
                raise ConfigError(f"recipe.{name}.loss: {error}") from None


def _least(promotion: Promotion) -> Iterator[tuple[str, float | None, int]]:
    for name in ("at_once", "processes"):
        yield name, getattr(promotion, name), 1
    for name in ("seed", "retries"):
        yield name, getattr(promotion, name), 0
    yield "data.max_photographs", promotion.data.max_photographs, 2
    yield "data.select_crops", promotion.data.select_crops, 1
    recipe = promotion.recipe
    for name, least in LEAST.items():
        yield f"recipe.{name}", getattr(recipe, name), least
    for part in ("mse", "perceptual"):
        for name, least in LEAST_OF_PHASE.items():
            yield f"recipe.{part}.{name}", getattr(getattr(recipe, part), name), least


ConfigStore.instance().store(name="promotion", node=Promotion)
