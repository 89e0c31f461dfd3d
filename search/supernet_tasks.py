"""What a step of a supernet's training learns from: codecs, or entropy models on their latents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from search.config import EntropyPhase, JointPhase
from search.optimisation import adam, batch, by_inputs, objective, optimiser, to_tensor
from search.photographs import CROP, Crops
from search.pretraining import drawn_subnet
from space.architecture import LEVELS, QUALITY_STEPS, Architecture
from space.codec import ENTROPY, RATE_WEIGHTS, level_weights
from space.parent import Parent
from space.precision import branches_in, fastest_branch_dtype
from space.search_space import SearchSpace

STEP = "decoder.context.step."
"""Where a codec's quantisation steps are, which set how much is lost."""
WIDTH_ERROR_BITS = 10.0
"""Bits that a squared error of one, in the logarithm of a symbol's width, counts as. An error of
5 % costs 2 % of a usual rate: wider symbols must not pay."""
CROPS_PER_ENCODER = 8
"""Crops that one random encoder gives latents of."""


@dataclass(frozen=True)
class Joint:
    """Rate and distortion of whole codecs, on crops that are mirrored and turned."""

    crops: Crops
    config: JointPhase
    device: torch.device

    def learns(self, name: str) -> bool:
        """All weights are trained."""
        return True

    def optimiser(self, named: Iterable[tuple[str, Tensor]]) -> torch.optim.Optimizer:
        """Adam, with a learning rate per kind of weight."""
        config = self.config
        return optimiser(named, config, False, config.context_share, config.last_share)

    def loss(self, parent: Parent, subnet: Architecture, rng: np.random.Generator) -> Tensor:
        """Loss of a subnet on a random batch."""
        image, level = batch(self.crops, self.config.batch, rng, self.device, False)
        image = flipped(image, rng)
        with branches_in(self.config.branch_dtype or fastest_branch_dtype(self.device)):
            coded = parent.code(subnet, image, level.float())
        return objective(coded, image, level, self.config.loss)


class Entropy:
    """Bits of latents that were computed once, each by a random encoder of the space.

    Distortion stays: symbols are quantised with the widths that the supernet predicted when the
    latents were computed, and entropy models learn to predict the same widths.
    """

    def __init__(
        self,
        parent: Parent,
        space: SearchSpace,
        crops: Crops,
        config: EntropyPhase,
        device: torch.device,
        seed: int,
    ) -> None:
        """Compute the latents of `config.crops` crops, which share the space's latent widths."""
        self._config, self._device = config, device
        rng = np.random.default_rng(seed)
        widths = sorted(map(int, space.parameters["latent_channels"]))
        chosen = crops[: config.crops]
        self._stored = {
            width: _Latents.of(parent, space, width, chosen[i :: len(widths)], device, rng)
            for i, width in enumerate(widths)
        }

    def learns(self, name: str) -> bool:
        """Entropy models are trained, but for the quantisation steps."""
        return name.startswith(ENTROPY) and not name.startswith(STEP)

    def optimiser(self, named: Iterable[tuple[str, Tensor]]) -> torch.optim.Optimizer:
        """Adam, by the number of a weight's inputs."""
        return adam((weight, by_inputs(name, weight, self._config.lr)) for name, weight in named)

    def loss(self, parent: Parent, subnet: Architecture, rng: np.random.Generator) -> Tensor:
        """Bits per pixel of a subnet on random latents of its width, and its error of widths."""
        stored = self._stored[subnet.latent_channels]
        chosen = rng.integers(len(stored.levels), size=self._config.batch)
        latent = stored.latents[chosen].to(self._device).float()
        levels = level_weights(stored.levels[chosen] * QUALITY_STEPS).to(self._device)
        given = None
        if subnet.quantisation == "learned":
            given = stored.widths[subnet.context][chosen].to(self._device).float()
        with branches_in(self._config.branch_dtype or fastest_branch_dtype(self._device)):
            bits, width = parent.code_latent(subnet, latent, levels, given)
        if given is not None and width is not None:
            error = (width.log() - given.log()).square().flatten(1).sum(dim=1)
            bits = bits + WIDTH_ERROR_BITS * error
        root = RATE_WEIGHTS[stored.levels[chosen]].sqrt().to(self._device)
        return (bits / (CROP * CROP) / root).mean()


@dataclass(frozen=True)
class _Latents:
    """Latents [n, M, H/16, W/16] at their quality levels [n], and the widths of their symbols.

    Widths are by context pattern. All in half precision, in main memory.
    """

    latents: Tensor
    levels: Tensor
    widths: dict[str, Tensor]

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        parent: Parent,
        space: SearchSpace,
        width: int,
        crops: Crops,
        device: torch.device,
        rng: np.random.Generator,
    ) -> _Latents:
        """Latents that random encoders of the space make of crops."""
        levels = torch.from_numpy(rng.integers(LEVELS, size=len(crops)))
        patterns = sorted(map(str, space.parameters["context"]))
        latents: list[Tensor] = []
        widths: dict[str, list[Tensor]] = {pattern: [] for pattern in patterns}
        for first in range(0, len(crops), CROPS_PER_ENCODER):
            some = slice(first, first + CROPS_PER_ENCODER)
            drawn = replace(drawn_subnet(space, rng), latent_channels=width, quantisation="learned")
            weights = level_weights(levels[some] * QUALITY_STEPS).to(device)
            analysis = parent.start(drawn).analysis.to(device)
            latent, _ = analysis(to_tensor(crops[some], device), weights)
            latents.append(latent.half().cpu())
            for pattern in patterns:
                coded = replace(drawn, context=pattern)
                _, predicted = parent.code_latent(coded, latent, weights, None)
                widths[pattern].append(cast("Tensor", predicted).half().cpu())
        return cls(torch.cat(latents), levels, {p: torch.cat(w) for p, w in widths.items()})


def flipped(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Crops [N, 3, H, W], all mirrored or turned in one of the eight ways that keep the grid."""
    turns = int(rng.integers(8))
    for dim in (2, 3):
        if turns & dim - 1:
            image = image.flip(dim)
    return image.transpose(2, 3) if turns & 4 else image
