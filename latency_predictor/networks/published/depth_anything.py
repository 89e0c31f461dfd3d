"""Depth Anything (V1 and V2), small: a DINOv2 transformer and a convolutional decoder, DPT.

Yang, Kang, Huang, Zhao, Xu, Feng, Zhao, "Depth Anything V2", arXiv 2406.09414; Ranftl, Bochkovskiy,
Koltun, "Vision Transformers for Dense Prediction", arXiv 2103.13413. Sides are multiples of 14. The
model card counts a residual unit of 0.07 M that the network does not use.

| | parameters | model card |
|---|---|---|
| small | 24.71 M | 24.8 M |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from latency_predictor.networks.published.layers import Residual

if TYPE_CHECKING:
    from latency_predictor.networks.names import NetworkSpec

ENCODER = "vit_small_patch14_dinov2"
EMBEDDING = 384
READ_AFTER = (2, 5, 8, 11)
"""Numbers of the transformer blocks whose tokens the decoder reads."""
READ_CHANNELS = (48, 96, 192, 384)
CHANNELS = 64
HIDDEN = 32


class DepthAnything(nn.Module):
    """From an image [1, 3, height, width] to relative depth [1, 1, height, width]."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.encoder = timm.create_model(ENCODER, img_size=(height, width), num_classes=0)
        self.project = nn.ModuleList(nn.Conv2d(EMBEDDING, c, 1) for c in READ_CHANNELS)
        first, second, _, last = READ_CHANNELS
        self.resize = nn.ModuleList(
            [
                nn.ConvTranspose2d(first, first, 4, 4),
                nn.ConvTranspose2d(second, second, 2, 2),
                nn.Identity(),
                nn.Conv2d(last, last, 3, 2, 1),
            ]
        )
        self.narrow = nn.ModuleList(
            nn.Conv2d(c, CHANNELS, 3, padding=1, bias=False) for c in READ_CHANNELS
        )
        self.fuse = nn.ModuleList(Fusion(two_inputs=level < 3) for level in range(4))
        self.head = nn.Conv2d(CHANNELS, CHANNELS // 2, 3, padding=1)
        self.depth = nn.Sequential(
            nn.Conv2d(CHANNELS // 2, HIDDEN, 3, padding=1), nn.ReLU(), nn.Conv2d(HIDDEN, 1, 1),
            nn.ReLU(),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.encoder.get_intermediate_layers(  # type: ignore[operator]
            image, n=list(READ_AFTER), reshape=True, norm=True
        )
        stages = zip(tokens, self.project, self.resize, self.narrow, strict=True)
        levels = [narrow(resize(project(x))) for x, project, resize, narrow in stages]
        x = None
        for level in (3, 2, 1, 0):
            size = levels[level - 1].shape[2:] if level else None
            x = self.fuse[level](levels[level], x, size)
        full = interpolate(self.head(x), image.shape[2:], mode="bilinear", align_corners=True)
        depth: Tensor = self.depth(full)
        return depth


class Fusion(nn.Module):
    """Adds a level to the coarser ones and enlarges the sum to `size`, or twofold."""

    def __init__(self, two_inputs: bool) -> None:
        super().__init__()
        self.before = unit() if two_inputs else None
        self.after = unit()
        self.out = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, level: Tensor, coarser: Tensor | None, size: torch.Size | None) -> Tensor:
        if self.before is not None and coarser is not None:
            level = coarser + self.before(level)
        x = self.after(level)
        target = [2 * side for side in x.shape[2:]] if size is None else list(size)
        out: Tensor = self.out(interpolate(x, target, mode="bilinear", align_corners=True))
        return out


def unit() -> nn.Module:
    """Residual unit of two 3x3 convolutions, each after a ReLU."""
    convolutions = [nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2)]
    return Residual(nn.ReLU(), convolutions[0], nn.ReLU(), convolutions[1])


def depth_anything(spec: NetworkSpec) -> nn.Module:
    """The small network for images of the size in `spec`."""
    with torch.device("meta"):
        return DepthAnything(spec.height, spec.width).eval()


NETWORKS: dict[str, Callable[[NetworkSpec], nn.Module]] = {"depth_anything_s": depth_anything}
