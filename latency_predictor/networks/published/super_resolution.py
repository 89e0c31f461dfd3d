"""Super-resolution by convolutions and pixel shuffles: EDSR and Real-ESRGAN's compact network.

Lim, Son, Kim, Nah, Lee, "Enhanced Deep Residual Networks for Single Image Super-Resolution", arXiv
1707.02921 (baseline, 16 blocks); Wang, Xie, Dong, Shan, "Real-ESRGAN", arXiv 2107.10833 (general,
x4v3). The last column is the size of a file in float32.

| | parameters | file |
|---|---|---|
| EDSR, fourfold | 1.52 M | 6.1 MB |
| EDSR, twofold | 1.37 M | |
| Real-ESRGAN compact, fourfold | 1.21 M | 4.9 MB |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from latency_predictor.networks.published.layers import Residual

if TYPE_CHECKING:
    from latency_predictor.networks.names import NetworkSpec

CHANNELS = 64
FACTOR = 4
EDSR_BLOCKS = 16
COMPACT_LAYERS = 32


def convolution(channels: int, width: int) -> nn.Conv2d:
    """3x3 convolution that keeps the image size."""
    return nn.Conv2d(channels, width, 3, padding=1)


def edsr(doublings: int) -> nn.Module:
    """From an image [1, 3, height, width] to one of 2^doublings times its sides."""
    with torch.device("meta"):
        blocks = [
            Residual(convolution(CHANNELS, CHANNELS), nn.ReLU(), convolution(CHANNELS, CHANNELS))
            for _ in range(EDSR_BLOCKS)
        ]
        body = Residual(*blocks, convolution(CHANNELS, CHANNELS))
        shuffles: list[nn.Module] = []
        for _ in range(doublings):
            shuffles += [convolution(CHANNELS, 4 * CHANNELS), nn.PixelShuffle(2)]
        return nn.Sequential(
            convolution(3, CHANNELS), body, *shuffles, convolution(CHANNELS, 3)
        ).eval()


class Compact(nn.Module):
    """The same by one shuffle, whose output is added to the nearest pixels of the image."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(3, CHANNELS), nn.PReLU(CHANNELS)]
        for _ in range(COMPACT_LAYERS):
            layers += [convolution(CHANNELS, CHANNELS), nn.PReLU(CHANNELS)]
        layers += [convolution(CHANNELS, 3 * FACTOR**2), nn.PixelShuffle(FACTOR)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        added: Tensor = self.layers(image) + interpolate(image, scale_factor=FACTOR)
        return added


def compact() -> nn.Module:
    """Real-ESRGAN's compact network on the meta device."""
    with torch.device("meta"):
        return Compact().eval()


NETWORKS: dict[str, Callable[[NetworkSpec], nn.Module]] = {
    "edsr_x2": lambda spec: edsr(1),
    "edsr_x4": lambda spec: edsr(2),
    "real_esrgan_compact_x4": lambda spec: compact(),
}
