"""Training of a space's parent: every step one random child and one of the two extremes.

The sandwich rule of slimmable networks (Yu and Huang, arXiv 1903.05134): what is good for the
largest and the smallest child serves those between.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from search import checkpoint
from search.checkpoint import CheckpointError, moments, restore_moments
from search.config import ProxyConfig
from search.optimisation import (
    SYNTHESIS,
    ProxyError,
    batch,
    loss_of,
    one_cycle,
    optimiser,
)
from search.photographs import Crops
from space.architecture import Architecture
from space.parent import Parent, codec_name
from space.search_space import SearchSpace, extreme


class Pretraining:
    """A parent in training; equal arguments give equal steps, whether interrupted or not."""

    def __init__(
        self,
        parent: Parent,
        space: SearchSpace,
        crops: Crops,
        config: ProxyConfig,
        seed: int,
        settled: bool = False,
    ) -> None:
        """`config` says how many steps there are, at which rates, and which loss they minimise.

        Where all but the synthesis transforms is `settled`, only they are trained.
        """
        self.parent, self.step = parent, 0
        self._space, self._crops, self._config, self._seed = space, crops, config, seed
        self._settled = settled
        self._trained = {
            name: weight
            for name, weight in parent.trainable().items()
            if name.startswith(SYNTHESIS) or not settled
        }
        for weight in self._trained.values():
            weight.requires_grad_(True)
        named = ((codec_name(name), weight) for name, weight in self._trained.items())
        self._optimiser = optimiser(named, config, settled)
        self._schedule = one_cycle(self._optimiser, config.steps)

    def advance(self) -> float:
        """Take one step; the loss before it. Raises ProxyError where that is not finite."""
        rng = np.random.default_rng((self._seed, self.step))
        # Rounding is trained through noise.
        torch.manual_seed(int(rng.integers(2**63)))
        device = next(iter(self._trained.values())).device
        self._optimiser.zero_grad()
        total = 0.0
        for architecture in _sandwich(self._space, self.step, rng):
            image, level = batch(self._crops, self._config.batch, rng, device, self._settled)
            coded = self.parent.code(architecture, image, level.float())
            loss = loss_of(coded, image, level, self._config, self._settled) / 2
            loss.backward()
            total += loss.item()
        if not math.isfinite(total):
            raise ProxyError(f"the loss is {total} at step {self.step}")
        nn.utils.clip_grad_norm_(self._trained.values(), 1.0)
        self._optimiser.step()
        self._schedule.step()
        self.step += 1
        return total

    def save(self, path: Path, about: dict[str, Any]) -> None:
        """Write a checkpoint, whole or not at all; `about` must be equal where it is resumed."""
        tensors = {f"weights.{name}": value.detach() for name, value in self._trained.items()}
        said = {
            "step": self.step,
            "groups": self._optimiser.state_dict()["param_groups"],
            "schedule": self._schedule.state_dict(),
        }
        checkpoint.save(path, about, said, tensors | moments(self._optimiser, "adam."))

    def resume(self, path: Path, about: dict[str, Any]) -> None:
        """Go on from what `save` wrote. Raises CheckpointError for anything else."""
        said, tensors = checkpoint.load(path, about, "run.name=NAME")
        try:
            self._restore(said, tensors)
        except (AttributeError, KeyError, RuntimeError, TypeError) as error:
            raise CheckpointError(f"{path}: damaged, or of other code ({error})") from error

    @torch.no_grad()
    def _restore(self, said: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        rates = [
            [group["max_lr"] for group in groups]
            for groups in (said["groups"], self._optimiser.param_groups)
        ]
        if rates[0] != rates[1]:
            raise KeyError("other learning rates")
        for name, weight in self._trained.items():
            weight.copy_(tensors[f"weights.{name}"])
        restore_moments(self._optimiser, "adam.", tensors, said["groups"])
        self._schedule.load_state_dict(said["schedule"])
        self.step = said["step"]


def _sandwich(space: SearchSpace, step: int, rng: np.random.Generator) -> Iterator[Architecture]:
    """A random child, then the largest or, in turn, the smallest that makes the same choices."""
    drawn = space.architecture(int(space.sample(1, rng)[0]))
    yield drawn
    yield extreme(space, drawn, max if step % 2 else min)
