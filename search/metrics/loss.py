"""The distortion that training minimises: a weighted sum of metrics, on the scale of the MSE."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from search.metrics import METRICS, find
from search.metrics.interface import MetricError

MSE = {"psnr": 1.0}
"""Weights of the mean squared error alone, which PICO searched by."""

MSE_PER_LOSS = {
    "psnr": 1.0,
    "ssimulacra2": 1.74e-4,
    "ms_ssim": 3.28e-2,
    "haarpsi": 9.79e-3,
    "ms_gmsd": 3.79e-2,
    "cvvdp": 2.63e-3,
    "lite0_lpips": 3.35e-3,
    "lite0_wasserstein": 9.99e-3,
}
"""Fall of the mean squared error by fall of a metric's loss, from JPEG quality 35 to 65 on Kodak.

A codec that minimises bpp + lambda * distortion settles where the distortion falls by 1 / lambda
per bpp. There, at 0.9 bpp and 31 dB, every loss so scaled falls as fast as the MSE does, so that
another metric under the same lambda asks for about the same rate: lambda of level 4 of 0 to 7.
`benchmarks/metric_costs.py --scales` prints the figures.
"""


def distortion(original: Tensor, reconstruction: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Sum [N] of losses by metric, each times its weight and its MSE_PER_LOSS.

    Original [N, 3, H, W] in [0, 1] sRGB; the reconstruction may leave the range, which only the
    MSE sees. `{"psnr": 1}` is the MSE. Gradients are finite. Raises MetricError for metrics that
    cannot be trained on, negative weights or weights that are all 0, and for shapes as a metric.
    """
    check_weights(weights)
    total = original.new_zeros(len(original))
    for name, weight in weights.items():
        metric = METRICS[name]
        metric.check(original, reconstruction)
        if weight and metric.loss:
            total = total + weight * MSE_PER_LOSS[name] * metric.loss(original, reconstruction)
    return total


def check_weights(weights: Mapping[str, float]) -> None:
    """Raise MetricError for weights that `distortion` cannot use."""
    for name, weight in weights.items():
        if not find(name).differentiable:
            raise MetricError(
                f"metric {name} is never trained on; expected some of {', '.join(MSE_PER_LOSS)}"
            )
        if not 0 <= weight < float("inf"):
            raise MetricError(f"weight {weight} of metric {name}: expected 0 or more")
    if not any(weights.values()):
        raise MetricError(
            f"no metric has a weight above 0; expected some of {', '.join(MSE_PER_LOSS)}"
        )
