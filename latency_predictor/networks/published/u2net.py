"""U2-Net and IS-Net: U-Nets whose blocks are small U-Nets, for masks of salient objects.

Qin, Zhang, Huang, Dehghan, Zaiane, Jagersand, "U2-Net: Going Deeper with Nested U-Structure for
Salient Object Detection", arXiv 2005.09007; Qin, Dai, Hu, Fan, Shao, Van Gool, "Highly Accurate
Dichotomous Image Segmentation", arXiv 2203.03041. The last column is the size of a file in float32.

| | parameters | file |
|---|---|---|
| U2-Net | 44.01 M | 176.0 MB |
| IS-Net | 44.05 M | 176.1 MB |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from latency_predictor.networks.names import NetworkSpec

ENCODER = ((7, 32, 64), (6, 32, 128), (5, 64, 256), (4, 128, 512), (0, 256, 512), (0, 256, 512))
"""Per stage: depth of the block's U, or 0 for a dilated block; its inner and its output channels.
IS-Net begins with 64 channels, U2-Net with the image."""
DECODER = ((7, 16, 64), (6, 32, 64), (5, 64, 128), (4, 128, 256), (0, 256, 512))
DILATIONS = (1, 2, 4, 8)


def convolution(channels: int, width: int, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """Resize to the height and width of `like`, bilinearly."""
    return interpolate(x, like.shape[2:], mode="bilinear")


class NestedU(nn.Module):
    """A U of `depth` levels, or one of dilated convolutions, beside a residual connection."""

    def __init__(self, depth: int, channels: int, inner: int, width: int) -> None:
        super().__init__()
        levels = depth or len(DILATIONS)
        down = DILATIONS if depth == 0 else (*([1] * (levels - 1)), 2)
        self.pooled = depth > 0
        self.enter = convolution(channels, width)
        self.down = nn.ModuleList(
            convolution(inner if i else width, inner, d) for i, d in enumerate(down)
        )
        up = DILATIONS[: levels - 1] if depth == 0 else [1] * (levels - 1)
        self.up = nn.ModuleList(
            convolution(2 * inner, inner if i else width, d) for i, d in enumerate(up)
        )

    def forward(self, x: Tensor) -> Tensor:
        entered: Tensor = self.enter(x)
        x = entered
        passed: list[Tensor] = []
        for i, down in enumerate(self.down):
            x = down(x)
            passed.append(x)
            if self.pooled and i < len(self.down) - 2:
                x = nn.functional.max_pool2d(x, 2, 2, ceil_mode=True)
        x = passed.pop()
        for up, skipped in zip(reversed(self.up), reversed(passed), strict=True):
            x = up(torch.cat((x if x.shape == skipped.shape else enlarge(x, skipped), skipped), 1))
        return x + entered


class NestedUNet(nn.Module):
    """From an image [1, 3, height, width] to a mask [1, 1, height, width].

    U2-Net joins the masks of all six levels. IS-Net works at half the resolution, and the one mask
    of its finest level is enlarged.
    """

    def __init__(self, half_resolution: bool) -> None:
        super().__init__()
        first = 64 if half_resolution else 3
        self.enter = nn.Conv2d(3, first, 3, 2, 1) if half_resolution else nn.Identity()
        before = (first, *(width for _, _, width in ENCODER[:-1]))
        self.encoder = nn.ModuleList(
            NestedU(depth, channels, inner, width)
            for channels, (depth, inner, width) in zip(before, ENCODER, strict=True)
        )
        coarser = (*(width for _, _, width in DECODER[1:]), ENCODER[-1][2])
        self.decoder = nn.ModuleList(
            NestedU(depth, channels + passed, inner, width)
            for channels, (_, _, passed), (depth, inner, width) in zip(
                coarser, ENCODER[:-1], DECODER, strict=True
            )
        )
        widths = (*(width for _, _, width in DECODER), ENCODER[-1][2])
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 3, padding=1) for width in widths)
        self.join = None if half_resolution else nn.Conv2d(len(widths), 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.enter(image)
        passed: list[Tensor] = []
        for i, stage in enumerate(self.encoder):
            x = stage(nn.functional.max_pool2d(x, 2, 2, ceil_mode=True) if i else x)
            passed.append(x)
        levels = [passed.pop()]
        for stage, skipped in zip(reversed(self.decoder), reversed(passed), strict=True):
            levels.append(stage(torch.cat((enlarge(levels[-1], skipped), skipped), 1)))
        levels.reverse()
        if self.join is None:
            return torch.sigmoid(enlarge(self.sides[0](levels[0]), image))
        masks = [side(level) for side, level in zip(self.sides, levels, strict=True)]
        return torch.sigmoid(
            self.join(torch.cat([masks[0], *(enlarge(m, masks[0]) for m in masks[1:])], 1))
        )


def nested(half_resolution: bool) -> nn.Module:
    """U2-Net, or IS-Net at half the image's resolution, on the meta device."""
    with torch.device("meta"):
        return NestedUNet(half_resolution).eval()


NETWORKS: dict[str, Callable[[NetworkSpec], nn.Module]] = {
    "u2net": lambda spec: nested(half_resolution=False),
    "isnet": lambda spec: nested(half_resolution=True),
}
