"""Image decoder of Stable Diffusion 1.5, and the one of half its widths that SnapFusion trains.

Rombach, Blattmann, Lorenz, Esser, Ommer, "High-Resolution Image Synthesis with Latent Diffusion
Models", arXiv 2112.10752; Li, Wang, Jin, Hu, Chemerys, Fu, Wang, Tulyakov, Ren, "SnapFusion:
Text-to-Image Diffusion Model on Mobile Devices within Two Seconds", arXiv 2306.00980. The input has
four channels and an eighth of the image's height and width.

| | parameters | SnapFusion |
|---|---|---|
| decoder | 49.49 M | 50 M |
| half widths | 12.39 M | 13 M |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from latency_predictor.networks.published.layers import Residual

if TYPE_CHECKING:
    from latency_predictor.networks.names import NetworkSpec

LATENT_CHANNELS = 4
WIDTHS = (512, 512, 256, 128)
GROUPS = 32
BLOCKS = 3
"""Residual blocks per resolution."""


def decoder(widths: tuple[int, ...]) -> nn.Module:
    """From a latent [1, 4, height, width] to an image [1, 3, 8 height, 8 width]."""
    with torch.device("meta"):
        layers: list[nn.Module] = [
            nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, 1),
            nn.Conv2d(LATENT_CHANNELS, widths[0], 3, padding=1),
            residual_block(widths[0], widths[0]),
            Residual(SelfAttention(widths[0])),
            residual_block(widths[0], widths[0]),
        ]
        before = widths[0]
        for level, width in enumerate(widths):
            for _ in range(BLOCKS):
                layers.append(residual_block(before, width))
                before = width
            if level < len(widths) - 1:
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1)]
        layers += [nn.GroupNorm(GROUPS, before), nn.SiLU(), nn.Conv2d(before, 3, 3, padding=1)]
    return nn.Sequential(*layers).eval()


def residual_block(channels: int, width: int) -> nn.Module:
    """Two 3x3 convolutions, each after a group normalisation, beside a shortcut."""
    inner = (
        nn.GroupNorm(GROUPS, channels),
        nn.SiLU(),
        nn.Conv2d(channels, width, 3, padding=1),
        nn.GroupNorm(GROUPS, width),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1),
    )
    return Residual(*inner) if channels == width else Shortcut(nn.Conv2d(channels, width, 1), inner)


class Shortcut(nn.Module):
    """Residual connection whose shortcut is a 1x1 convolution."""

    def __init__(self, shortcut: nn.Module, inner: tuple[nn.Module, ...]) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.inner = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.shortcut(x) + self.inner(x)
        return added


class SelfAttention(nn.Module):
    """Attention between all positions, with one head: [1, channels, height, width] both ways."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.query, self.key, self.value, self.out = (
            nn.Linear(channels, channels) for _ in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        seen = nn.functional.scaled_dot_product_attention(
            self.query(tokens)[:, None], self.key(tokens)[:, None], self.value(tokens)[:, None]
        )
        return self.out(seen[:, 0]).transpose(1, 2).reshape(x.shape)


NETWORKS: dict[str, Callable[[NetworkSpec], nn.Module]] = {
    "sd15_decoder": lambda spec: decoder(WIDTHS),
    "snapfusion_decoder": lambda spec: decoder(tuple(width // 2 for width in WIDTHS)),
}
"""Networks whose input is a latent with `LATENT_CHANNELS` channels."""
