"""The patch critic, which tells decoded patches from originals (Isola et al., arXiv 1611.07004)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (64, 128, 256, 512)
"""Channels after each stride-2 convolution; in total 2.8 million weights."""
SLOPE = 0.2
"""Slope of the leaky ReLU below 0."""


class Critic(nn.Module):
    """Maps images [N, 3, H, W] in [0, 1] to logits [N, H/16, W/16], above 0 for originals.

    Each logit has a receptive field of 78 px. Inputs are clipped to [0, 1], as a decoder does.
    Weights have spectral norm one (Miyato et al., arXiv 1802.05957).
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [spectral_norm(nn.Conv2d(before, width, 4, 2, 1)), nn.LeakyReLU(SLOPE)]
        layers.append(spectral_norm(nn.Conv2d(WIDTHS[-1], 1, 3, 1, 1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        # bfloat16 is faster on GPUs only; on CPUs it is slower.
        with torch.autocast(image.device.type, torch.bfloat16, enabled=image.is_cuda):
            return self.layers(image.clamp(0, 1) * 2 - 1)[:, 0].float()


def critic_loss(critic: Critic, original: Tensor, reconstruction: Tensor) -> Tensor:
    """Logistic loss of the critic for telling originals from reconstructions."""
    real, decoded = critic(original), critic(reconstruction.detach())
    return functional.softplus(-real).mean() + functional.softplus(decoded).mean()


def codec_loss(critic: Critic, reconstruction: Tensor, text_mask: Tensor | None) -> Tensor:
    """Logistic loss [N] of the codec, low if the critic takes reconstructions for originals.

    Pixels where `text_mask` [N, H, W] is 1 get no gradient, since realistic letters may be the
    wrong letters.
    """
    if text_mask is not None:
        inside = text_mask[:, None] > 0
        reconstruction = torch.where(inside, reconstruction.detach(), reconstruction)
    return functional.softplus(-critic(reconstruction)).mean(dim=(1, 2))
