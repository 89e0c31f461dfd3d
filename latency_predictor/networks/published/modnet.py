"""MODNet: portrait matting by MobileNetV2, a low- and a high-resolution branch, and their fusion.

Ke, Sun, Li, Yan, Lau, "MODNet: Real-Time Trimap-Free Portrait Matting via Objective
Decomposition", arXiv 2011.11961. The network lacks the heads that only training uses. The last
column is the size of a file in float32.

| | parameters | file |
|---|---|---|
| MODNet | 6.48 M | 26.1 MB |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import mobilenet_v2

if TYPE_CHECKING:
    from latency_predictor.networks.names import NetworkSpec

READ_AFTER = (1, 3, 6, 13, 18)
"""Numbers of the layers of MobileNetV2 whose outputs are read, at strides 2, 4, 8, 16 and 32."""
DEEPEST, MIDDLE, WIDTH = 1280, 96, 32


class HalfNorm(nn.Module):
    """Batch normalisation of one half of the channels, instance normalisation of the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.batch = nn.BatchNorm2d(channels // 2)
        self.instance = nn.GroupNorm(channels // 2, channels // 2, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        return torch.cat((self.batch(first), self.instance(second)), 1)


def convolution(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution with half batch, half instance normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, stride, kernel // 2), HalfNorm(width), nn.ReLU()
    )


def scaled(x: Tensor, factor: float) -> Tensor:
    """Resize by a factor, bilinearly."""
    return interpolate(x, scale_factor=factor, mode="bilinear")


class ModNet(nn.Module):
    """From an image [1, 3, height, width] to its alpha matte [1, 1, height, width]."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = mobilenet_v2().features
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(DEEPEST, DEEPEST // 4, bias=False),
            nn.ReLU(),
            nn.Linear(DEEPEST // 4, DEEPEST, bias=False),
            nn.Sigmoid(),
        )
        self.low16 = convolution(DEEPEST, MIDDLE, 5)
        self.low8 = convolution(MIDDLE, WIDTH, 5)
        self.from2 = convolution(16, WIDTH, 1)
        self.from4 = convolution(24, WIDTH, 1)
        self.image2 = convolution(WIDTH + 3, WIDTH, 3, stride=2)
        self.join4 = convolution(2 * WIDTH, 2 * WIDTH, 3)
        self.high4 = nn.Sequential(
            convolution(3 * WIDTH + 3, 2 * WIDTH, 3),
            convolution(2 * WIDTH, 2 * WIDTH, 3),
            convolution(2 * WIDTH, WIDTH, 3),
        )
        self.high2 = nn.Sequential(
            convolution(2 * WIDTH, 2 * WIDTH, 3),
            convolution(2 * WIDTH, WIDTH, 3),
            convolution(WIDTH, WIDTH, 3),
            convolution(WIDTH, WIDTH, 3),
        )
        self.low4 = convolution(WIDTH, WIDTH, 5)
        self.fuse2 = convolution(2 * WIDTH, WIDTH, 3)
        self.fuse = nn.Sequential(
            convolution(WIDTH + 3, WIDTH // 2, 3), nn.Conv2d(WIDTH // 2, 1, 1), nn.Sigmoid()
        )

    def forward(self, image: Tensor) -> Tensor:
        read, x = [], image
        for number, layer in enumerate(self.encoder):
            x = layer(x)
            if number in READ_AFTER:
                read.append(x)
        at2, at4, _, _, at32 = read
        low8 = self.low_resolution(at32)
        high2 = self.high_resolution(image, at2, at4, low8)
        low2 = scaled(self.low4(scaled(low8, 2)), 2)
        fused = scaled(self.fuse2(torch.cat((low2, high2), 1)), 2)
        matte: Tensor = self.fuse(torch.cat((fused, image), 1))
        return matte

    def low_resolution(self, x: Tensor) -> Tensor:
        weighed = x * self.weigh(x)[:, :, None, None]
        low: Tensor = self.low8(scaled(self.low16(scaled(weighed, 2)), 2))
        return low

    def high_resolution(self, image: Tensor, at2: Tensor, at4: Tensor, low8: Tensor) -> Tensor:
        from2 = self.from2(at2)
        at4 = torch.cat(
            (self.image2(torch.cat((scaled(image, 0.5), from2), 1)), self.from4(at4)), 1
        )
        joined = torch.cat((self.join4(at4), scaled(low8, 2), scaled(image, 0.25)), 1)
        high: Tensor = self.high2(torch.cat((scaled(self.high4(joined), 2), from2), 1))
        return high


def modnet() -> nn.Module:
    """The network in inference form, on the meta device."""
    with torch.device("meta"):
        return ModNet().eval()


NETWORKS: dict[str, Callable[[NetworkSpec], nn.Module]] = {"modnet": lambda spec: modnet()}
