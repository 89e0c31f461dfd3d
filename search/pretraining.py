"""Training of a supernet: every step trains a few random subnets.

Weights are shared as in once-for-all networks (Cai et al., arXiv 1908.09791). Subnets are drawn
parameter by parameter, so that short and narrow chains are trained as often as long and wide ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from search import checkpoint
from search.checkpoint import CheckpointError, moments, restore_moments
from search.config import PhaseConfig
from search.optimisation import ProxyError
from space.architecture import CHOICES, Architecture
from space.parent import Parent, codec_name
from space.search_space import SearchSpace, from_architecture, to_architecture

WARM_UP = 0.03
"""Share of all steps in which the learning rates rise to their peak."""
DECAY = 0.3
"""Share of all steps, the last ones, in which the learning rates fall to zero. Until then they are
constant: a longer training repeats a shorter one and goes on, and what is learned while rates are
high is worth more than an early finish."""
USUAL = 0.8
"""Share of subnets that have the reference's value of a categorical parameter."""
RICH = 0.5
"""Share of subnets that have the largest encoder: it costs decoding nothing, so that most of a
front has it."""
AVERAGE_EVERY = 10
"""Steps between updates of the averaged weights, which cost as much as half a crop."""


class Task(Protocol):
    """Weights that a training changes, and the loss that it minimises."""

    def learns(self, name: str) -> bool:
        """Whether the weight of this name is trained."""
        ...

    def optimiser(self, named: Iterable[tuple[str, Tensor]]) -> torch.optim.Optimizer:
        """Optimiser of weights, by their names in a codec."""
        ...

    def loss(self, parent: Parent, subnet: Architecture, rng: np.random.Generator) -> Tensor:
        """Loss of a subnet on a random batch."""
        ...


class Pretraining:
    """A supernet in training; equal arguments give equal steps, whether interrupted or not."""

    def __init__(
        self, parent: Parent, space: SearchSpace, task: Task, config: PhaseConfig, seed: int
    ) -> None:
        """Train the weights of `parent`, in place; `averaged` has what is to be used of them."""
        self.step = 0
        self.averaged = parent.copy()
        self._parent, self._space, self._task = parent, space, task
        self._config, self._seed = config, seed
        self.trained = {n: w for n, w in parent.trainable().items() if task.learns(n)}
        """Weights that learn, by name."""
        for weight in self.trained.values():
            weight.requires_grad_(True)
        named = ((codec_name(name), weight) for name, weight in self.trained.items())
        self._optimiser = task.optimiser(named)
        self._rates = [group["lr"] for group in self._optimiser.param_groups]

    def advance(self) -> float:
        """Take one step; the mean loss of its subnets before it.

        Raises ProxyError, and changes no weight, where loss or gradient are not finite.
        """
        rng = np.random.default_rng((self._seed, self.step))
        # Rounding is trained through noise.
        torch.manual_seed(int(rng.integers(2**63)))
        self._optimiser.zero_grad()
        total = 0.0
        for _ in range(self._config.subnets):
            subnet = drawn_subnet(self._space, rng)
            loss = self._task.loss(self._parent, subnet, rng) / self._config.subnets
            loss.backward()
            total += loss.item()
        norm = nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
        if not math.isfinite(total) or not norm.isfinite():
            raise ProxyError(
                f"step {self.step}: the loss is {total}, the norm of its gradient {norm.item()}"
            )
        share = lr_share(self.step, self._config.steps)
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        self._optimiser.step()
        self.step += 1
        if self.step % AVERAGE_EVERY == 0:
            self._update_average()
        return total

    @torch.no_grad()
    def _update_average(self) -> None:
        averaged = [self.averaged.weights[name] for name in self.trained]
        current = [weight.detach() for weight in self.trained.values()]
        # The average of all steps so far, until that would have a longer memory.
        updates = self.step // AVERAGE_EVERY
        decay = min(self._config.average**AVERAGE_EVERY, 1 - 1 / updates)
        get_ema_multi_avg_fn(decay)(averaged, current, updates)

    def save(self, path: Path, about: dict[str, Any]) -> None:
        """Write a checkpoint, whole or not at all; `about` must be equal where it is resumed."""
        tensors = {f"weights.{name}": value.detach() for name, value in self.trained.items()}
        tensors |= {f"averaged.{name}": self.averaged.weights[name] for name in self.trained}
        tensors |= moments(self._optimiser, "adam.")
        checkpoint.save(path, about, {"step": self.step}, tensors)

    def resume(self, path: Path, about: dict[str, Any]) -> None:
        """Go on from what `save` wrote. Raises CheckpointError for anything else."""
        said, tensors = checkpoint.load(path, about, "run.name=NAME")
        try:
            self._restore(said, tensors)
        except (AttributeError, KeyError, RuntimeError, TypeError) as error:
            raise CheckpointError(f"{path}: damaged, or of other code ({error})") from error

    @torch.no_grad()
    def _restore(self, said: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        for name, weight in self.trained.items():
            weight.copy_(tensors[f"weights.{name}"])
            self.averaged.weights[name].copy_(tensors[f"averaged.{name}"])
        groups = self._optimiser.state_dict()["param_groups"]
        restore_moments(self._optimiser, "adam.", tensors, groups)
        self.step = said["step"]


def lr_share(step: int, steps: int) -> float:
    """Learning rate of step `step` in [0, steps), as a share of its peak: up, constant, down."""
    rising, falling = WARM_UP * steps, DECAY * steps
    return min(1.0, (step + 1) / max(rising, 1), (steps - step) / max(falling, 1))


def drawn_subnet(space: SearchSpace, rng: np.random.Generator) -> Architecture:
    """A random architecture of a space: numbers uniform, choices mostly the reference's."""
    usual = from_architecture(space.reference)
    rich = rng.random() < RICH
    point = {}
    for name, values in space.parameters.items():
        if name in CHOICES:
            others = [value for value in values if value != usual[name]] or [usual[name]]
            kept = rng.random() < USUAL
            point[name] = usual[name] if kept else others[rng.integers(len(others))]
        elif rich and name.startswith("encoder."):
            point[name] = max(map(int, values))
        else:
            point[name] = values[rng.integers(len(values))]
    return to_architecture(point)
