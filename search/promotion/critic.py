"""The patch critic: which patches of a picture look decoded (Isola et al., arXiv 1611.07004)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (64, 128, 256, 512)
"""Channels after each halving: 2.8 million weights."""
SLOPE = 0.2


class Critic(nn.Module):
    """Image [N, 3, H, W] in [0, 1] to logits [N, H/16, W/16], above 0 for originals.

    Each sees 78 px, and their values as a decoder writes them, clipped. Weights are of spectral
    norm one (Miyato et al., arXiv 1802.05957).
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [spectral_norm(nn.Conv2d(before, width, 4, 2, 1)), nn.LeakyReLU(SLOPE)]
        layers.append(spectral_norm(nn.Conv2d(WIDTHS[-1], 1, 3, 1, 1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        # In bfloat16 where a GPU has fast units for it; on CPUs it is slower.
        with torch.autocast(image.device.type, torch.bfloat16, enabled=image.is_cuda):
            return self.layers(image.clamp(0, 1) * 2 - 1)[:, 0].float()


def critic_loss(critic: Critic, original: Tensor, reconstruction: Tensor) -> Tensor:
    """What the critic minimises: logistic loss of telling both apart."""
    real, decoded = critic(original), critic(reconstruction.detach())
    return functional.softplus(-real).mean() + functional.softplus(decoded).mean()


def codec_loss(critic: Critic, reconstruction: Tensor, text_mask: Tensor | None) -> Tensor:
    """What the codec minimises [N]: logistic loss of passing for an original.

    Inside `text_mask` [N, H, W], of 0 and 1, pixels have no gradient: letters that look real may be
    other letters.
    """
    if text_mask is not None:
        inside = text_mask[:, None] > 0
        reconstruction = torch.where(inside, reconstruction.detach(), reconstruction)
    return functional.softplus(-critic(reconstruction)).mean(dim=(1, 2))
