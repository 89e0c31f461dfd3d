"""RepNeXt: parallel depthwise convolutions of four sizes, with all branches merged.

Zhao, Luo, Ouyang, "RepNeXt: A Fast Multi-Scale CNN using Structural Reparameterization", arXiv
2406.16004, and the tables of its repository. The E variants also merge the four sizes, into one
11x11 depthwise convolution per block and one of 7x7 per downsampling. At 224x224, with the printed
figures in brackets:

| | parameters, M | MACs, G | | parameters, M | MACs, G |
|---|---|---|---|---|---|
| M0 | 2.33 (2.3) | 0.39 (0.4) | M4 | 13.32 (13.3) | 2.29 (2.3) |
| M1 | 4.82 (4.8) | 0.82 (0.8) | M5 | 21.71 (21.7) | 4.54 (4.5) |
| M2 | 6.46 (6.5) | 1.11 (1.1) | M0E | 2.54 (2.5) | 0.46 (0.5) |
| M3 | 7.81 (7.8) | 1.34 (1.3) | M1E | 5.25 (5.3) | 0.95 (1.0) |
| | | | M2E | 6.96 (7.0) | 1.27 (1.3) |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from latency_predictor.networks.published.layers import Mean, Network, depthwise, mlp, stem

if TYPE_CHECKING:
    from latency_predictor.networks.names import NetworkSpec

_VARIANTS = {
    "m0": (40, (2, 2, 9, 1)),
    "m1": (48, (3, 3, 15, 2)),
    "m2": (56, (3, 3, 15, 2)),
    "m3": (64, (3, 3, 13, 2)),
    "m4": (64, (5, 5, 25, 4)),
    "m5": (80, (7, 7, 35, 2)),
}
"""Channels of the first stage, which double from stage to stage, and blocks per stage."""


class _ChunkConv(nn.Module):
    """Four quarters of the channels: identity, 3x3, 7x7, and 1x11 followed by 11x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter = channels // 4
        self.small = depthwise(quarter, 3)
        self.medium = depthwise(quarter, 7)
        self.large = nn.Sequential(depthwise(quarter, (1, 11)), depthwise(quarter, (11, 1)))

    def forward(self, x: Tensor) -> Tensor:
        same, small, medium, large = x.chunk(4, dim=1)
        return torch.cat([same, self.small(small), self.medium(medium), self.large(large)], dim=1)


class _CopyConv(nn.Module):
    """3x3 and 7x7 at stride 2 on the same input, concatenated to twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.small = depthwise(channels, 3, stride=2)
        self.medium = depthwise(channels, 7, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.small(x), self.medium(x)], dim=1)


class _Block(nn.Module):
    """Token mixer and channel mixer, with a residual from the block's or the channel mixer's input.

    The residual comes from the channel mixer's input if the block is `downsampling`.
    """

    def __init__(self, mixer: nn.Module, channels: int, downsampling: bool) -> None:
        super().__init__()
        self.mixer = mixer
        self.channel_mixer = mlp(channels, 2 * channels)
        self.downsampling = downsampling

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.mixer(x)
        return (mixed if self.downsampling else x) + self.channel_mixer(mixed)


def _downsampling(channels: int, merged: bool) -> nn.Module:
    merged_conv = nn.Conv2d(channels, 2 * channels, 7, 2, 3, groups=channels)
    return _Block(merged_conv if merged else _CopyConv(channels), 2 * channels, downsampling=True)


def _block(channels: int, merged: bool) -> nn.Module:
    mixer = depthwise(channels, 11) if merged else _ChunkConv(channels)
    return _Block(mixer, channels, downsampling=False)


def repnext(variant: str, merged: bool, backbone: bool) -> nn.Module:
    """RepNeXt-`variant` on the meta device, in its E form if `merged`.

    A `backbone` has neither pooling nor a classifier.
    """
    width, depths = _VARIANTS[variant]
    with torch.device("meta"):
        stages = []
        for number, depth in enumerate(depths):
            channels = width * 2**number
            enter = _downsampling(channels // 2, merged) if number else stem(channels)
            stages.append(nn.Sequential(enter, *(_block(channels, merged) for _ in range(depth))))
        head = [Mean(), nn.Linear(8 * width, 1000)]
        return Network(stages, None if backbone else head).eval()


def _builder(variant: str, merged: bool) -> Callable[[NetworkSpec], nn.Module]:
    return lambda spec: repnext(variant, merged, spec.backbone)


NETWORKS = {f"repnext_{variant}": _builder(variant, merged=False) for variant in _VARIANTS} | {
    f"repnext_{variant}e": _builder(variant, merged=True) for variant in ("m0", "m1", "m2")
}
