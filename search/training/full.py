"""Full training of one architecture: batches, losses, updates and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from search.data.photographs import Crops
from search.data.text_mask import unpacked
from search.metrics.loss import distortion
from search.promotion.recipe import Recipe, RecipePhase
from search.training import checkpoint, losses
from search.training.batches import to_tensor
from search.training.checkpoint import below, moments, prefixed, restore_moments
from search.training.critic import CriticTraining, codec_loss
from search.training.learning_rates import optimiser
from search.training.update import Update, synchronised
from space.architecture import LEVELS
from space.codec.codec import Codec, Coded, rate_weights
from space.codec.precision import branches_in

CURVE = ("loss", "bpp", "mse", "tiling", "text", "gan", "critic")
"""Names of the values recorded at every step. The value of a term is NaN in a phase that does not
use the term."""
AVERAGE = "average."
"""Name prefix of the averaged weights in a checkpoint."""


@dataclass(frozen=True)
class TrainingData:
    """Training crops and their text masks."""

    crops: Crops
    text: NDArray[np.uint8] | None
    """Text masks of the crops, as packed by `text_mask.masks_of`; None if no loss needs them."""


class FullTraining:
    """Full training of one codec. Equal arguments give equal steps, even after an interruption.

    On one CPU thread the steps are equal bit for bit. With several torch.distributed processes,
    each process draws its own crops, and all processes apply the mean gradient.
    """

    def __init__(
        self, codec: Codec, recipe: Recipe, training_data: TrainingData, seed: int
    ) -> None:
        self.step = 0
        self.curve: list[list[float]] = []
        """Values of CURVE for every step."""
        self._recipe, self._training_data, self._seed = recipe, training_data, seed
        self._lambdas = rate_weights(recipe.lambda_low, recipe.lambda_high)
        self._codec = codec.train()
        self._synchronised = synchronised(codec)
        self._average = AveragedModel(codec, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))
        named = [(n, p) for n, p in codec.named_parameters() if p.requires_grad]
        self._weights = [weight for _, weight in named]
        self._optimiser = optimiser(named, recipe, False, recipe.context_share)
        self._update = Update(self._optimiser, self._weights)
        self._critic: CriticTraining | None = None
        if any(phase.steps and phase.gan for phase in recipe.phases):
            torch.manual_seed(seed)
            self._critic = CriticTraining(recipe.critic_lr, self._weights[0].device)

    @property
    def codec(self) -> Codec:
        """The codec with averaged weights. Later steps change this object in place."""
        return cast("Codec", self._average.module)

    def advance(self) -> dict[str, float]:
        """Take one step. Return the values named by CURVE, computed before the update.

        Raises TrainingDiverged if a loss, a gradient or a weight is not finite. Losses and
        gradients are checked before any weight changes.
        """
        phase, done = self._recipe.at(self.step)
        image, level, mask = self._batch(phase)
        with branches_in(self._recipe.branch_dtype):
            coded = self._synchronised(image, level.float())
        errors = self._errors(phase, done, image, coded, mask)
        error = cast("Tensor", sum(errors.values()))
        loss = losses.rate_distortion(error, coded, level, self._lambdas)
        figures = dict.fromkeys(CURVE, math.nan) | {
            "loss": self._update.backward([loss], self.step),
            "bpp": coded.bits.mean().item() / image[0, 0].numel(),
            "mse": (coded.image - image).square().mean().item(),
            **{name: errors[name].mean().item() for name in errors.keys() & set(CURVE)},
        }
        # No weight changes before both gradients are known to be finite.
        if self._critic and phase.gan:
            figures["critic"] = self._critic.backward(image, coded.image, self.step)
            self._critic.apply()
        self._update.apply(self._recipe.lr_share(self.step))
        self._average.update_parameters(self._codec)
        self.curve.append([figures[name] for name in CURVE])
        self.step += 1
        return figures

    def _batch(self, phase: RecipePhase) -> tuple[Tensor, Tensor, Tensor | None]:
        """Random crops, a random quality level for each, and text masks if the phase needs them."""
        rank = distributed.get_rank() if distributed.is_initialized() else 0
        rng = np.random.default_rng((self._seed, self.step, rank))
        # The rate takes its gradients through random noise, which has to repeat.
        torch.manual_seed(int(rng.integers(2**63)))
        device, size = self._weights[0].device, self._recipe.batch
        chosen = rng.integers(len(self._training_data.crops), size=size)
        level = torch.from_numpy(rng.integers(LEVELS, size=size)).to(device)
        mask = None
        if self._training_data.text is not None and (phase.text or phase.gan):
            mask = torch.from_numpy(unpacked(self._training_data.text[chosen])).to(device)
        return to_tensor(self._training_data.crops[chosen], device), level, mask

    def _errors(
        self, phase: RecipePhase, done: int, image: Tensor, coded: Coded, mask: Tensor | None
    ) -> dict[str, Tensor]:
        """Weighted terms [N] of the phase's distortion, by name."""
        errors = {"metrics": distortion(image, coded.image, phase.loss)}
        if phase.tiling:
            errors["tiling"] = phase.tiling * losses.tiling(image, coded.image)
        if phase.text and mask is not None:
            errors["text"] = phase.text * losses.text(image, coded.image, mask)
        if phase.gan and self._critic:
            weight = phase.gan * min(1.0, done / max(1, phase.gan_warm_up))
            errors["gan"] = weight * codec_loss(self._critic.critic, coded.image, mask)
        return errors

    def save(self, path: Path, fingerprint: Mapping[str, Any]) -> None:
        """Write a checkpoint atomically. `resume` then requires an equal `fingerprint`."""
        tensors = prefixed("weights.", self._codec.state_dict())
        tensors |= prefixed(AVERAGE, self.codec.state_dict())
        tensors |= moments(self._optimiser, "adam.")
        if self._critic:
            tensors |= self._critic.tensors()
        curve = torch.tensor(self.curve, dtype=torch.float64)
        checkpoint.save(path, fingerprint, {"step": self.step}, tensors | {checkpoint.CURVE: curve})

    def resume(self, path: Path, fingerprint: Mapping[str, Any]) -> None:
        """Restore the state that `save` wrote.

        Raises CheckpointError if the file is damaged or belongs to a training with other settings.
        """
        with checkpoint.restoring(path, fingerprint, "name=NAME") as (metadata, tensors):
            self._codec.load_state_dict(below("weights.", tensors))
            self.codec.load_state_dict(below(AVERAGE, tensors))
            self._average.n_averaged.fill_(metadata["step"])
            restore_moments(self._optimiser, "adam.", tensors)
            if self._critic:
                self._critic.restore(tensors)
            self.curve, self.step = tensors[checkpoint.CURVE].tolist(), metadata["step"]
