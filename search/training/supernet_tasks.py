"""The two tasks of supernet training: whole codecs, and entropy models alone on fixed latents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from search.config.schema import EntropyPhase, JointPhase
from search.data.photographs import CROP, Crops
from search.training.batches import batch, to_tensor
from search.training.learning_rates import adam, lr_by_inputs, optimiser
from search.training.losses import objective
from search.training.supernet import drawn_subnet
from space.architecture import LEVELS, QUALITY_STEPS, Architecture
from space.codec.codec import ENTROPY, RATE_WEIGHTS, level_weights
from space.codec.precision import branches_in, fastest_branch_dtype
from space.codec.supernet import Supernet
from space.search_space import SearchSpace

STEP = "decoder.context.step."
"""Name prefix of the quantisation steps of a codec, which determine its distortion."""
WIDTH_ERROR_BITS = 10.0
"""Penalty, in bits per symbol, for a squared error of one in the logarithm of the symbol's
quantisation width. An error of 5 % in all widths then costs 2 % of a usual rate, so that predicting
too large widths does not pay off."""
CROPS_PER_ENCODER = 8
"""Number of crops that one randomly chosen encoder turns into latents."""


@dataclass(frozen=True)
class Joint:
    """The task of training whole codecs for rate and distortion.

    Crops are randomly mirrored and rotated.
    """

    crops: Crops
    config: JointPhase
    device: torch.device

    def learns(self, name: str) -> bool:
        """Return True: all weights are trained."""
        return True

    def optimiser(self, named: Iterable[tuple[str, Tensor]]) -> torch.optim.Optimizer:
        """Adam with a learning rate per kind of weight (see `learning_rates.optimiser`)."""
        config = self.config
        return optimiser(named, config, False, config.context_share, config.last_share)

    def loss(self, supernet: Supernet, subnet: Architecture, rng: np.random.Generator) -> Tensor:
        """Loss of a subnet on a random batch."""
        image, level = batch(self.crops, self.config.batch, rng, self.device, False)
        image = flipped(image, rng)
        with branches_in(self.config.branch_dtype or fastest_branch_dtype(self.device)):
            coded = supernet.code(subnet, image, level.float())
        return objective(coded, image, level, self.config.loss)


class Entropy:
    """The task of training entropy models to code fixed latents in few bits.

    The latents are computed once, by randomly chosen encoders of the space. The distortion does not
    change: symbols are quantised with the widths that the supernet predicted when the latents were
    computed, and entropy models learn to predict the same widths.
    """

    def __init__(
        self,
        supernet: Supernet,
        space: SearchSpace,
        crops: Crops,
        config: EntropyPhase,
        device: torch.device,
        seed: int,
    ) -> None:
        """Compute the latents of `config.crops` crops, divided among the space's latent widths."""
        self._config, self._device = config, device
        rng = np.random.default_rng(seed)
        widths = sorted(map(int, space.parameters["latent_channels"]))
        chosen = crops[: config.crops]
        # If there are fewer crops than widths, some widths share a crop.
        self._stored = {
            width: _Latents.of(
                supernet, space, width, chosen[i % len(chosen) :: len(widths)], device, rng
            )
            for i, width in enumerate(widths)
        }

    def learns(self, name: str) -> bool:
        """Whether the weight belongs to an entropy model and is not a quantisation step."""
        return name.startswith(ENTROPY) and not name.startswith(STEP)

    def optimiser(self, named: Iterable[tuple[str, Tensor]]) -> torch.optim.Optimizer:
        """Adam with the learning rates of `lr_by_inputs`."""
        return adam((weight, lr_by_inputs(name, weight, self._config.lr)) for name, weight in named)

    def loss(self, supernet: Supernet, subnet: Architecture, rng: np.random.Generator) -> Tensor:
        """Mean of (bpp + penalty) / sqrt(lambda) over a random batch of latents.

        The penalty is for quantisation widths that differ from the original ones (see
        `WIDTH_ERROR_BITS`).
        """
        stored = self._stored[subnet.latent_channels]
        chosen = rng.integers(len(stored.levels), size=self._config.batch)
        latent = stored.latents[chosen].to(self._device).float()
        levels = level_weights(stored.levels[chosen] * QUALITY_STEPS).to(self._device)
        target = None
        if subnet.quantisation == "learned":
            target = stored.widths[subnet.context][chosen].to(self._device).float()
        with branches_in(self._config.branch_dtype or fastest_branch_dtype(self._device)):
            bits, width = supernet.code_latent(subnet, latent, levels, target)
        if target is not None and width is not None:
            error = (width.log() - target.log()).square().flatten(1).sum(dim=1)
            bits = bits + WIDTH_ERROR_BITS * error
        root = RATE_WEIGHTS[stored.levels[chosen]].sqrt().to(self._device)
        return (bits / (CROP * CROP) / root).mean()


@dataclass(frozen=True)
class _Latents:
    """Latents [n, M, H/16, W/16] with their quality levels [n] and symbol widths.

    Widths are stored per context pattern. Latents and widths are float16, in main memory.
    """

    latents: Tensor
    levels: Tensor
    widths: dict[str, Tensor]

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        supernet: Supernet,
        space: SearchSpace,
        width: int,
        crops: Crops,
        device: torch.device,
        rng: np.random.Generator,
    ) -> _Latents:
        """Latents of `width` channels that randomly chosen encoders compute from crops."""
        levels = torch.from_numpy(rng.integers(LEVELS, size=len(crops)))
        patterns = sorted(map(str, space.parameters["context"]))
        latents: list[Tensor] = []
        widths: dict[str, list[Tensor]] = {pattern: [] for pattern in patterns}
        for first in range(0, len(crops), CROPS_PER_ENCODER):
            some = slice(first, first + CROPS_PER_ENCODER)
            drawn = replace(drawn_subnet(space, rng), latent_channels=width, quantisation="learned")
            weights = level_weights(levels[some] * QUALITY_STEPS).to(device)
            analysis = supernet.start(drawn).analysis.to(device)
            latent, _ = analysis(to_tensor(crops[some], device), weights)
            latents.append(latent.half().cpu())
            for pattern in patterns:
                coded = replace(drawn, context=pattern)
                _, predicted = supernet.code_latent(coded, latent, weights, None)
                widths[pattern].append(cast("Tensor", predicted).half().cpu())
        return cls(torch.cat(latents), levels, {p: torch.cat(w) for p, w in widths.items()})


def flipped(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirror and rotate crops [N, 3, H, W] by one random symmetry of the square for all crops."""
    turns = int(rng.integers(8))
    for dim in (2, 3):
        if turns & dim - 1:
            image = image.flip(dim)
    return image.transpose(2, 3) if turns & 4 else image
