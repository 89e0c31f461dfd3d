"""What a step of a supernet's training learns from: whole codecs, or decoders on stored latents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from search.config import DecoderPhase, JointPhase
from search.metrics.loss import MSE
from search.optimisation import batch, log_distortion, objective, to_tensor
from search.photographs import Crops
from space.architecture import LEVELS, QUALITY_STEPS, Architecture
from space.codec import SYNTHESIS, EncoderNetwork, level_weights
from space.parent import Parent
from space.precision import branches_in, fastest_branch_dtype
from space.search_space import SearchSpace, extreme


@dataclass(frozen=True)
class Joint:
    """Rate and distortion of whole codecs, on crops that are mirrored and turned."""

    crops: Crops
    config: JointPhase
    device: torch.device
    settled = False

    def learns(self, name: str) -> bool:
        """All weights are trained."""
        return True

    def loss(self, parent: Parent, subnet: Architecture, rng: np.random.Generator) -> Tensor:
        """Loss of a subnet on a random batch."""
        image, level = batch(self.crops, self.config.batch, rng, self.device, False)
        image = flipped(image, rng)
        with branches_in(self.config.branch_dtype or fastest_branch_dtype(self.device)):
            coded = parent.code(subnet, image, level.float())
        return objective(coded, image, level, self.config.loss)


class Decoders:
    """Distortion of decoders on latents that were computed once, by the largest encoder.

    Rates are given, so that all pictures count alike: the logarithm of the distortion is learned.
    """

    settled = True

    def __init__(
        self,
        parent: Parent,
        space: SearchSpace,
        crops: Crops,
        config: DecoderPhase,
        device: torch.device,
        seed: int,
    ) -> None:
        """Compute the latents of `config.crops` crops for every latent width of the space."""
        self._config, self._device = config, device
        self._crops = crops[: config.crops]
        qualities = np.random.default_rng(seed).integers(LEVELS, size=len(self._crops))
        self._levels = level_weights(torch.from_numpy(qualities * QUALITY_STEPS))
        self._latents = {
            codec.latent_channels: torch.cat(list(self._encoded(parent, codec)))
            for codec in _encoders(space)
        }

    @torch.no_grad()
    def _encoded(self, parent: Parent, codec: Architecture) -> Iterator[Tensor]:
        """Dequantised latents [1, M, H/16, W/16] of every crop, in half precision."""
        model = parent.start(codec).to(self._device).eval()
        encoder = EncoderNetwork(model)
        for i in range(len(self._crops)):
            levels = self._levels[i : i + 1].to(self._device)
            image = to_tensor(self._crops[i : i + 1], self._device)
            symbols, z = encoder(image, levels)
            yield model.decoder.context(symbols, z, levels).half().cpu()

    def learns(self, name: str) -> bool:
        """Synthesis transforms alone are trained."""
        return name.startswith(SYNTHESIS)

    def loss(self, parent: Parent, subnet: Architecture, rng: np.random.Generator) -> Tensor:
        """Loss of a subnet's decoder on random latents of its width.

        The first `perceptual_crops` of a batch are judged by `loss`, which is dear, the others by
        the squared error.
        """
        config = self._config
        chosen = rng.integers(len(self._crops), size=config.batch)
        latent = self._latents[subnet.latent_channels][chosen].to(self._device).float()
        levels = self._levels[chosen].to(self._device)
        with branches_in(config.branch_dtype or fastest_branch_dtype(self._device)):
            decoded = parent.synthesise(subnet, latent, levels)
        image = to_tensor(self._crops[chosen], self._device)
        seen = config.perceptual_crops
        parts = [(slice(0, seen), config.loss), (slice(seen, None), MSE)]
        losses = [
            len(image[part]) * log_distortion(decoded[part], image[part], weights)
            for part, weights in parts
            if len(image[part])
        ]
        return torch.stack(losses).sum() / len(image)


def _encoders(space: SearchSpace) -> Iterator[Architecture]:
    """The largest architecture that makes the reference's choices, at every latent width."""
    largest = extreme(space, space.reference, max)
    for width in sorted(map(int, space.parameters["latent_channels"])):
        yield replace(largest, latent_channels=width)


def flipped(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Crops [N, 3, H, W], all mirrored or turned in one of the eight ways that keep the grid."""
    turns = int(rng.integers(8))
    for dim in (2, 3):
        if turns & dim - 1:
            image = image.flip(dim)
    return image.transpose(2, 3) if turns & 4 else image
