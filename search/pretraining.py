"""Training of a space's parent, by sandwiches of its children."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from search.config import ProxyConfig
from search.photographs import Crops
from search.proxy import Progress, ProxyError, batch, objective, optimisation
from space.architecture import CHOICES, Architecture
from space.parent import Parent
from space.search_space import SearchSpace, to_architecture


def pretrain(
    parent: Parent,
    space: SearchSpace,
    crops: Crops,
    config: ProxyConfig,
    seed: int,
    progress: Progress = iter,
) -> None:
    """Minimise the proxy's objective over random children, in place."""
    trainable = parent.trainable()
    for value in trainable.values():
        value.requires_grad_(True)
    optimiser, schedule = optimisation(trainable, config)
    device = next(iter(trainable.values())).device
    for step in progress(range(config.steps)):
        rng = np.random.default_rng((seed, step))
        for architecture in sandwich(space, step, rng):
            image, level = batch(crops, config.batch, rng, device)
            coded = parent.code(architecture, image, level.float())
            loss = objective(coded, image, level, config)
            if not math.isfinite(loss.item()):
                raise ProxyError(f"the loss is {loss.item()} at step {step}")
            loss.backward()
        nn.utils.clip_grad_norm_(trainable.values(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    for value in trainable.values():
        value.requires_grad_(False)


def sandwich(space: SearchSpace, step: int, rng: np.random.Generator) -> Iterator[Architecture]:
    """A random child, and in turn the largest and the smallest with random choices."""
    drawn = space.architecture(int(space.sample(1, rng)[0]))
    yield drawn
    pick = max if step % 2 else min
    extreme = {
        name: getattr(drawn, name) if name in CHOICES else pick(map(int, values))
        for name, values in space.parameters.items()
    }
    yield to_architecture(extreme)
