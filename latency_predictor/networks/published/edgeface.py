"""EdgeFace: EdgeNeXt with low-rank linear layers and a face embedding as output.

George, Ecabert, Shahreza, Kotwal, Marcel, "EdgeFace: Efficient Face Recognition Model for Edge
Devices", arXiv 2307.01838. At 112x112, with a multiply-accumulate counted as two operations:

| | parameters | paper | Mflop | paper |
|---|---|---|---|---|
| XS(0.6) | 1.770 M | 1.77 M | 152 | 154 |
| S(0.5) | 3.653 M | 3.65 M | 303 | 306 |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import timm
import torch
from torch import nn

if TYPE_CHECKING:
    from latency_predictor.networks.names import NetworkSpec

EMBEDDING = 512


def edgeface(backbone: str, rank_ratio: float) -> nn.Module:
    """A timm `backbone` whose linear layers all have `rank_ratio` times their full rank."""
    with torch.device("meta"):
        network = timm.create_model(backbone, num_classes=EMBEDDING)
        _factorise(network, rank_ratio)
    return network.eval()


def _factorise(module: nn.Module, rank_ratio: float) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            rank = max(2, int(min(child.in_features, child.out_features) * rank_ratio))
            into = nn.Linear(child.in_features, rank, bias=False)
            out_of = nn.Linear(rank, child.out_features, bias=child.bias is not None)
            setattr(module, name, nn.Sequential(into, out_of))
        else:
            _factorise(child, rank_ratio)


NETWORKS: dict[str, Callable[[NetworkSpec], nn.Module]] = {
    "edgeface_xs": lambda spec: edgeface("edgenext_x_small", rank_ratio=0.6),
    "edgeface_s": lambda spec: edgeface("edgenext_small", rank_ratio=0.5),
}
