"""torchvision's segmenters for the 21 classes of Pascal VOC, without their auxiliary heads.

Their logits are enlarged to the size of the image. The last column is the size of a file in
float16 (React Native ExecuTorch).

| | parameters | file |
|---|---|---|
| fcn_resnet50 | 33.0 M | 66 MB |
| fcn_resnet101 | 51.9 M | 104 MB |
| deeplabv3_resnet50 | 39.6 M | 80 MB |
| deeplabv3_resnet101 | 58.6 M | 118 MB |
| deeplabv3_mobilenet_v3_large | 11.0 M | 23 MB |
| lraspp_mobilenet_v3_large | 3.2 M | 7 MB |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from latency_predictor.networks.names import NetworkSpec

NAMES = (
    "fcn_resnet50",
    "fcn_resnet101",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "lraspp_mobilenet_v3_large",
)


class Segmenter(nn.Module):
    """A segmenter that returns its logits [1, 21, height, width] alone."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.inner(image)["out"]
        return logits


def segmenter(name: str) -> nn.Module:
    """The segmenter of this name on the meta device."""
    from torchvision import models

    with torch.device("meta"):
        return Segmenter(models.get_model(name, weights=None, weights_backbone=None)).eval()


NETWORKS: dict[str, Callable[[NetworkSpec], nn.Module]] = {
    name: lambda spec: segmenter(spec.name.rpartition(":")[2]) for name in NAMES
}
