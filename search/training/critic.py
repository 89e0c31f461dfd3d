"""The patch critic, which tells decoded patches from originals (Isola et al., arXiv 1611.07004)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from search.training.checkpoint import below, moments, prefixed, restore_moments
from search.training.update import Update, synchronised

CRITIC_WIDTHS = (64, 128, 256, 512)
"""Channels after each stride-2 convolution. The critic has 2.8 million weights in total."""
SLOPE = 0.2
"""Slope of the leaky ReLU below 0."""


class Critic(nn.Module):
    """Maps images [N, 3, H, W] to logits [N, H/16, W/16], which are above 0 for originals.

    Each logit has a receptive field of 78 px. Images are clipped to [0, 1], as a decoder clips
    them. Weights have spectral norm one (Miyato et al., arXiv 1802.05957).
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in zip((3, *CRITIC_WIDTHS), CRITIC_WIDTHS, strict=False):
            layers += [spectral_norm(nn.Conv2d(before, width, 4, 2, 1)), nn.LeakyReLU(SLOPE)]
        layers.append(spectral_norm(nn.Conv2d(CRITIC_WIDTHS[-1], 1, 3, 1, 1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        # bfloat16 is faster on GPUs only; on CPUs it is slower.
        with torch.autocast(image.device.type, torch.bfloat16, enabled=image.is_cuda):
            return self.layers(image.clamp(0, 1) * 2 - 1)[:, 0].float()


def critic_loss(critic: nn.Module, original: Tensor, reconstruction: Tensor) -> Tensor:
    """Logistic loss of the critic, low if it tells originals from reconstructions."""
    real, decoded = critic(original), critic(reconstruction.detach())
    return functional.softplus(-real).mean() + functional.softplus(decoded).mean()


def codec_loss(critic: nn.Module, reconstruction: Tensor, text_mask: Tensor | None) -> Tensor:
    """Logistic loss [N] of the codec, low if the critic takes reconstructions for originals.

    Pixels where `text_mask` [N, H, W] is 1 get no gradient, since realistic letters may be the
    wrong letters.
    """
    if text_mask is not None:
        inside = text_mask[:, None] > 0
        reconstruction = torch.where(inside, reconstruction.detach(), reconstruction)
    return functional.softplus(-critic(reconstruction)).mean(dim=(1, 2))


class CriticTraining:
    """Training of a critic beside the codec whose reconstructions it judges."""

    def __init__(self, lr: float, device: torch.device) -> None:
        """Create a critic, initialised from torch's random numbers."""
        self.critic = Critic().to(device).train()
        self._synchronised = synchronised(self.critic)
        weights = list(self.critic.parameters())
        self._optimiser = torch.optim.Adam(weights, lr, betas=(0.5, 0.9), fused=True)
        self._update = Update(self._optimiser, weights, max_norm=math.inf)

    def backward(self, original: Tensor, reconstruction: Tensor, step: int) -> float:
        """Replace the critic's gradients by those of `critic_loss`; return this loss.

        Raises TrainingDiverged, which names `step`, if the loss or its gradient is not finite.
        """
        return self._update.backward(
            [critic_loss(self._synchronised, original, reconstruction)], step
        )

    def apply(self) -> None:
        """Change the critic's weights by the gradients that `backward` computed.

        Raises TrainingDiverged if a weight is then not finite.
        """
        self._update.apply(1.0)

    def tensors(self) -> dict[str, Tensor]:
        """Weights of the critic and Adam's state, for a checkpoint."""
        weights = prefixed("critic.", self.critic.state_dict())
        return weights | moments(self._optimiser, "critic_adam.")

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the state that the method `tensors` returned.

        Raises KeyError or RuntimeError if `tensors` do not fit the critic.
        """
        self.critic.load_state_dict(below("critic.", tensors))
        restore_moments(self._optimiser, "critic_adam.", tensors)
