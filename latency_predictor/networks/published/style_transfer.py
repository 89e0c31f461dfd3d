"""Fast neural style, with instance normalisation and nearest upsampling before convolutions.

Johnson, Alahi, Li, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", arXiv
1603.08155, in the form of PyTorch's examples. The last column is the size of a file in float32.

| | parameters | file |
|---|---|---|
| fast neural style | 1.68 M | 6.78 MB |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from latency_predictor.networks.published.layers import Residual

if TYPE_CHECKING:
    from latency_predictor.networks.names import NetworkSpec

WIDTHS = (32, 64, 128)
BLOCKS = 5


def convolution(channels: int, width: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """Convolution with mirrored borders that keeps the image size, or divides it by `stride`."""
    return [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(channels, width, kernel, stride)]


def normalised(channels: int, width: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """The same, normalised per image and channel."""
    return [*convolution(channels, width, kernel, stride), nn.InstanceNorm2d(width, affine=True)]


def fast_neural_style() -> nn.Module:
    """From an image [1, 3, height, width] to one of the same size, on the meta device."""
    narrow, middle, wide = WIDTHS
    with torch.device("meta"):
        blocks = [
            Residual(*normalised(wide, wide), nn.ReLU(), *normalised(wide, wide))
            for _ in range(BLOCKS)
        ]
        encoder = [
            *normalised(3, narrow, 9), nn.ReLU(),
            *normalised(narrow, middle, stride=2), nn.ReLU(),
            *normalised(middle, wide, stride=2), nn.ReLU(),
        ]  # fmt: skip
        decoder = [
            nn.Upsample(scale_factor=2), *normalised(wide, middle), nn.ReLU(),
            nn.Upsample(scale_factor=2), *normalised(middle, narrow), nn.ReLU(),
            *convolution(narrow, 3, 9),
        ]  # fmt: skip
        return nn.Sequential(*encoder, *blocks, *decoder).eval()


NETWORKS: dict[str, Callable[[NetworkSpec], nn.Module]] = {
    "fast_neural_style": lambda spec: fast_neural_style(),
}
