"""MobileViG: inverted residuals followed by graph convolutions on a fixed grid of neighbours.

Munir, Avery, Marculescu, "MobileViG: Graph-Based Sparse Attention for Mobile Vision Applications",
arXiv 2307.00395, table 1 and the authors' repository. At 224x224:

| | parameters, M | printed | MACs, G | printed |
|---|---|---|---|---|
| Ti | 5.24 | 5.2 | 0.66 | 0.7 |
| S | 7.22 | 7.2 | 0.98 | 1.0 |
| M | 14.01 | 14.0 | 1.49 | 1.5 |
| B | 26.74 | 26.7 | 2.79 | 2.8 |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from latency_predictor.networks.published.layers import (
    Mean,
    Network,
    Residual,
    depthwise,
    mlp,
    stem,
)

if TYPE_CHECKING:
    from latency_predictor.networks.names import NetworkSpec

_VARIANTS = {
    "ti": ((42, 84, 168, 256), (2, 2, 6, 2), 512),
    "s": ((42, 84, 176, 256), (3, 3, 9, 3), 512),
    "m": ((42, 84, 224, 400), (3, 3, 9, 3), 768),
    "b": ((42, 84, 240, 464), (5, 5, 15, 5), 768),
}
"""Channels of each stage, blocks of each stage, and width of the head. The last stage has graph
convolutions."""

_HOP = 2
"""Distance between neighbours in the graph, in positions along a row or column."""


class _GraphConv(nn.Module):
    """Largest difference to every second position in the same row and column, then a 1x1 layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(2 * channels, 2 * channels, 1), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        largest = x - x
        for dim in (2, 3):
            for hop in range(_HOP, x.shape[dim], _HOP):
                start, end = x.split([x.shape[dim] - hop, hop], dim)
                largest = torch.maximum(largest, x - torch.cat([end, start], dim))
        return self.conv(torch.cat([x, largest], dim=1))


class _TwoClassifiers(nn.Module):
    """Mean scores of the classifier and the distillation head, which are not merged into one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, 1000)
        self.distilled = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return (self.classifier(x) + self.distilled(x)) / 2


def _local(channels: int) -> nn.Module:
    between = (depthwise(4 * channels, 3), nn.GELU())
    return Residual(mlp(channels, 4 * channels, *between))


def _global(channels: int) -> nn.Module:
    graph = (nn.Conv2d(channels, channels, 1), _GraphConv(channels))
    return nn.Sequential(
        Residual(*graph, nn.Conv2d(2 * channels, channels, 1)),
        Residual(mlp(channels, 4 * channels)),
    )


def mobilevig(variant: str, backbone: bool) -> nn.Module:
    """MobileViG-`variant` on the meta device.

    A `backbone` has neither pooling nor a classifier.
    """
    widths, depths, head_width = _VARIANTS[variant]
    with torch.device("meta"):
        stages = []
        for number, (channels, depth) in enumerate(zip(widths, depths, strict=True)):
            enter = (
                nn.Conv2d(widths[number - 1], channels, 3, 2, 1)
                if number
                else nn.Sequential(stem(channels), nn.GELU())
            )
            block = _global if number == len(widths) - 1 else _local
            stages.append(nn.Sequential(enter, *(block(channels) for _ in range(depth))))
        hidden = (nn.Linear(widths[-1], head_width), nn.GELU())
        head = [Mean(), *hidden, _TwoClassifiers(head_width)]
        return Network(stages, None if backbone else head).eval()


def _builder(variant: str) -> Callable[[NetworkSpec], nn.Module]:
    return lambda spec: mobilevig(variant, spec.backbone)


NETWORKS = {f"mobilevig_{variant}": _builder(variant) for variant in _VARIANTS}
