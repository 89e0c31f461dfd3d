"""Supernet training: every step trains a few random subnets.

Weights are shared as in once-for-all networks (Cai et al., arXiv 1908.09791). Each parameter of a
subnet is drawn independently, so that short and narrow chains are trained as often as long and wide
ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from search.config.schema import PhaseConfig
from search.training import checkpoint
from search.training.checkpoint import moments, prefixed, restore_moments
from search.training.update import Update
from space.architecture import CHOICES, Architecture
from space.codec.slicing import codec_name
from space.codec.supernet import Supernet
from space.search_space import SearchSpace, from_architecture, to_architecture

WARM_UP_SHARE = 0.03
"""Fraction of all steps over which the learning rates rise to their peak."""
DECAY = 0.3
"""Fraction of all steps, at the end, over which the learning rates fall to zero. Before, and after
the warm-up, they are constant. Progress at high learning rates is worth more than an early
finish."""
USUAL = 0.8
"""Probability that a categorical parameter of a subnet has the reference's value."""
RICH = 0.5
"""Probability that a subnet is given the largest encoder. A large encoder costs no decode time, so
that most architectures on a front have the largest encoder."""
AVERAGE_EVERY = 10
"""Steps between updates of the averaged weights. One update takes half as long as training on one
crop."""


class TrainingTask(Protocol):
    """The weights that a phase of supernet training changes, and the loss that it minimises."""

    def learns(self, name: str) -> bool:
        """Whether the weight of this name is trained."""
        ...

    def optimiser(self, named: Iterable[tuple[str, Tensor]]) -> torch.optim.Optimizer:
        """Optimiser for weights, given with their names in a codec."""
        ...

    def loss(self, supernet: Supernet, subnet: Architecture, rng: np.random.Generator) -> Tensor:
        """Loss of a subnet on a random batch."""
        ...


class Pretraining:
    """Training of a supernet. Equal arguments give equal steps, even after an interruption."""

    def __init__(
        self,
        supernet: Supernet,
        space: SearchSpace,
        task: TrainingTask,
        config: PhaseConfig,
        seed: int,
    ) -> None:
        """Prepare to train `supernet` in place. After training, `averaged` is the one to use."""
        self.step = 0
        self.averaged = supernet.copy()
        self._supernet, self._space, self._task = supernet, space, task
        self._config, self._seed = config, seed
        self.trained = {n: w for n, w in supernet.trainable().items() if task.learns(n)}
        """Weights that are trained, by name."""
        for weight in self.trained.values():
            weight.requires_grad_(True)
        named = ((codec_name(name), weight) for name, weight in self.trained.items())
        self._optimiser = task.optimiser(named)
        self._update = Update(self._optimiser, self.trained.values())

    def advance(self) -> float:
        """Take one step. Return the mean loss of the step's subnets before the update.

        Raises TrainingDiverged if the loss, the gradient or a weight is not finite.
        """
        rng = np.random.default_rng((self._seed, self.step))
        # The rate takes its gradients through random noise, which has to repeat.
        torch.manual_seed(int(rng.integers(2**63)))
        loss = self._update.backward(self._losses(rng), self.step)
        self._update.apply(lr_share(self.step, self._config.steps))
        self.step += 1
        if self.step % AVERAGE_EVERY == 0:
            self._update_average()
        return loss

    def _losses(self, rng: np.random.Generator) -> Iterator[Tensor]:
        """The terms of a step's loss, one per random subnet."""
        for _ in range(self._config.subnets):
            subnet = drawn_subnet(self._space, rng)
            yield self._task.loss(self._supernet, subnet, rng) / self._config.subnets

    @torch.no_grad()
    def _update_average(self) -> None:
        averaged = [self.averaged.weights[name] for name in self.trained]
        current = [weight.detach() for weight in self.trained.values()]
        # A plain mean of all updates, until the configured decay averages over fewer of them.
        updates = self.step // AVERAGE_EVERY
        decay = min(self._config.average**AVERAGE_EVERY, 1 - 1 / updates)
        get_ema_multi_avg_fn(decay)(averaged, current, updates)

    def save(self, path: Path, fingerprint: dict[str, Any]) -> None:
        """Write a checkpoint atomically. `resume` then requires an equal `fingerprint`."""
        averaged = {name: self.averaged.weights[name] for name in self.trained}
        tensors = prefixed("weights.", self.trained) | prefixed("averaged.", averaged)
        tensors |= moments(self._optimiser, "adam.")
        checkpoint.save(path, fingerprint, {"step": self.step}, tensors)

    @torch.no_grad()
    def resume(self, path: Path, fingerprint: dict[str, Any]) -> None:
        """Restore the state that `save` wrote.

        Raises CheckpointError if the file is damaged or belongs to a training with other settings.
        """
        with checkpoint.restoring(path, fingerprint, "run.name=NAME") as (metadata, tensors):
            for name, weight in self.trained.items():
                weight.copy_(tensors[f"weights.{name}"])
                self.averaged.weights[name].copy_(tensors[f"averaged.{name}"])
            restore_moments(self._optimiser, "adam.", tensors)
            self.step = metadata["step"]


def lr_share(step: int, steps: int) -> float:
    """Learning rates at a step in [0, steps), as a fraction of their peaks.

    The fraction rises linearly, stays at 1, and falls linearly.
    """
    rising, falling = WARM_UP_SHARE * steps, DECAY * steps
    return min(1.0, (step + 1) / max(rising, 1), (steps - step) / max(falling, 1))


def drawn_subnet(space: SearchSpace, rng: np.random.Generator) -> Architecture:
    """Draw a random architecture of a space.

    Numeric parameters are drawn uniformly, except that many architectures have the largest encoder
    (see `RICH`). Categorical parameters mostly have the reference's value (see `USUAL`).
    """
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
