"""Full training of one architecture: everything between a batch and a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from search import checkpoint
from search.checkpoint import CheckpointError, moments, restore_moments
from search.metrics.loss import distortion
from search.optimisation import ProxyError, optimiser, rate_and, to_tensor
from search.photographs import Crops
from search.promotion import terms
from search.promotion.critic import Critic, codec_loss, critic_loss
from search.promotion.recipe import Phase, Recipe
from search.promotion.text_mask import unpacked
from space.architecture import LEVELS
from space.codec import Codec, Coded

CURVE = ("loss", "bpp", "mse", "tiling", "text", "gan", "critic")
"""What every step writes down; NaN for what its phase has not."""
AVERAGE = "average."
"""What the names of averaged weights begin with in a checkpoint."""


@dataclass(frozen=True)
class Lessons:
    """What is trained on."""

    crops: Crops
    text: NDArray[np.uint8] | None
    """Masks of text in the crops, as `text_mask.masks_of` packs them; None where no term asks."""


class FullTraining:
    """A codec in full training; equal arguments give equal steps, whether interrupted or not.

    On one CPU thread they are equal bit for bit. Where torch.distributed has several processes,
    each draws crops of its own and all take the mean gradient.
    """

    def __init__(self, codec: Codec, recipe: Recipe, lessons: Lessons, seed: int) -> None:
        self.step = 0
        self.curve: list[list[float]] = []
        """The figures of CURVE of every step."""
        self._recipe, self._lessons, self._seed = recipe, lessons, seed
        self._codec = codec.train()
        self._average = AveragedModel(codec, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))
        named = [(n, p) for n, p in codec.named_parameters() if p.requires_grad]
        self._weights = [weight for _, weight in named]
        self._optimiser = optimiser(named, recipe, False, recipe.context_share)
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self._critic: Critic | None = None
        if recipe.mse.gan or recipe.perceptual.gan:
            torch.manual_seed(seed)
            self._critic = Critic().to(self._weights[0].device).train()
            self._critic_optimiser = torch.optim.Adam(
                self._critic.parameters(), recipe.critic_rate, betas=(0.5, 0.9), fused=True
            )

    @property
    def codec(self) -> Codec:
        """The codec of the averaged weights, which later steps change."""
        return cast("Codec", self._average.module)

    def advance(self) -> dict[str, float]:
        """Take one step; its figures of CURVE, before it.

        Raises ProxyError where loss or gradient are not finite.
        """
        phase, done = self._recipe.at(self.step)
        image, level, mask = self._batch(phase)
        coded = self._codec(image, level.float())
        errors = self._errors(phase, done, image, coded, mask)
        loss = rate_and(sum(errors.values()), coded, level)  # type: ignore[arg-type]
        self._descend(loss)
        figures = dict.fromkeys(CURVE, math.nan) | {
            "loss": loss.item(),
            "bpp": coded.bits.mean().item() / image[0, 0].numel(),
            "mse": (coded.image - image).square().mean().item(),
            **{name: errors[name].mean().item() for name in errors.keys() & set(CURVE)},
        }
        if self._critic and phase.gan:
            figures["critic"] = self._teach_critic(self._critic, image, coded.image)
        self.curve.append([figures[name] for name in CURVE])
        self.step += 1
        return figures

    def _descend(self, loss: Tensor) -> None:
        """Change the weights and their average by one step. Raises ProxyError."""
        if not math.isfinite(loss.item()):
            raise ProxyError(f"the loss is {loss.item()} at step {self.step}")
        self._optimiser.zero_grad()
        loss.backward()
        _mean_over_processes(self._weights)
        norm = nn.utils.clip_grad_norm_(self._weights, 1.0)
        if not norm.isfinite():
            raise ProxyError(f"the gradient is {norm.item()} at step {self.step}")
        share = self._recipe.rate_at(self.step)
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        self._optimiser.step()
        self._average.update_parameters(self._codec)

    def _batch(self, phase: Phase) -> tuple[Tensor, Tensor, Tensor | None]:
        """Random crops, a random level each, and their masks of text where the phase needs them."""
        rank = distributed.get_rank() if distributed.is_initialized() else 0
        rng = np.random.default_rng((self._seed, self.step, rank))
        # Rounding is trained through noise.
        torch.manual_seed(int(rng.integers(2**63)))
        device, size = self._weights[0].device, self._recipe.batch
        chosen = rng.integers(len(self._lessons.crops), size=size)
        level = torch.from_numpy(rng.integers(LEVELS, size=size)).to(device)
        mask = None
        if self._lessons.text is not None and (phase.text or phase.gan):
            mask = torch.from_numpy(unpacked(self._lessons.text[chosen])).to(device)
        return to_tensor(self._lessons.crops[chosen], device), level, mask

    def _errors(
        self, phase: Phase, done: int, image: Tensor, coded: Coded, mask: Tensor | None
    ) -> dict[str, Tensor]:
        """What the phase's distortion consists of: errors [N], weighed."""
        errors = {"metrics": distortion(image, coded.image, phase.loss)}
        if phase.tiling:
            errors["tiling"] = phase.tiling * terms.tiling(image, coded.image)
        if phase.text and mask is not None:
            errors["text"] = phase.text * terms.text(image, coded.image, mask)
        if phase.gan and self._critic:
            weight = phase.gan * min(1.0, done / max(1, phase.gan_warm_up))
            errors["gan"] = weight * codec_loss(self._critic, coded.image, mask)
        return errors

    def _teach_critic(self, critic: Critic, image: Tensor, decoded: Tensor) -> float:
        loss = critic_loss(critic, image, decoded)
        # Also drops the gradient that the codec's step left in the critic.
        self._critic_optimiser.zero_grad()
        loss.backward()
        _mean_over_processes(critic.parameters())
        self._critic_optimiser.step()
        return loss.item()

    def save(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write a checkpoint, whole or not at all; `about` must be equal where it is resumed."""
        tensors = {f"weights.{n}": value for n, value in self._codec.state_dict().items()}
        tensors |= {f"{AVERAGE}{n}": value for n, value in self.codec.state_dict().items()}
        tensors |= moments(self._optimiser, "adam.")
        if self._critic:
            tensors |= {f"critic.{n}": value for n, value in self._critic.state_dict().items()}
            tensors |= moments(self._critic_optimiser, "critic_adam.")
        curve = torch.tensor(self.curve, dtype=torch.float64)
        checkpoint.save(path, about, {"step": self.step}, tensors | {"curve": curve})

    def resume(self, path: Path, about: Mapping[str, Any]) -> None:
        """Go on from what `save` wrote. Raises CheckpointError for anything else."""
        said, tensors = checkpoint.load(path, about, "name=NAME")
        try:
            self._codec.load_state_dict(_below("weights.", tensors))
            self.codec.load_state_dict(_below(AVERAGE, tensors))
            self._average.n_averaged.fill_(said["step"])
            _restore(self._optimiser, "adam.", tensors)
            if self._critic:
                self._critic.load_state_dict(_below("critic.", tensors))
                _restore(self._critic_optimiser, "critic_adam.", tensors)
            self.curve, self.step = tensors["curve"].tolist(), said["step"]
        except (KeyError, RuntimeError, TypeError) as error:
            raise CheckpointError(f"{path}: damaged, or of other code ({error})") from error


def _restore(optimiser: torch.optim.Optimizer, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    restore_moments(optimiser, prefix, tensors, optimiser.state_dict()["param_groups"])


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}


def _mean_over_processes(weights: Iterable[Tensor]) -> None:
    """Replace gradients by their mean over the processes that train together."""
    if distributed.is_initialized():
        for weight in weights:
            if weight.grad is not None:
                distributed.all_reduce(weight.grad)
                weight.grad /= distributed.get_world_size()
