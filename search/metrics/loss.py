"""The distortion that training minimises: a weighted sum of losses, each scaled to the MSE."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from search.metrics import METRICS, find_metric
from search.metrics.interface import MetricError

MSE = {"psnr": 1.0}
"""Weights that select the mean squared error alone, as in PICO's search."""

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
"""Factor, by metric, that scales the loss of the metric to the MSE. It is the fall of the MSE
divided by the fall of the loss, both from JPEG quality 35 to quality 65 on Kodak.

A codec that minimises bpp + lambda * distortion settles where the distortion falls by 1 / lambda
per bpp. At 0.9 bpp and 31 dB, which belong to the lambda of quality level 4 (of 0 to 7), every
scaled loss falls as fast as the MSE. All metrics therefore lead to about the same rate under the
same lambda. `benchmarks/metric_costs.py --scales` prints the factors.
"""


def distortion(original: Tensor, reconstruction: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Weighted sum [N] of the metrics' losses, each scaled by its MSE_PER_LOSS.

    `weights` maps names of metrics to weights; with `{"psnr": 1}`, the sum is the MSE. The original
    [N, 3, H, W] is sRGB in [0, 1]. The reconstruction may leave this range, but only the MSE
    penalises that. Gradients are finite. Raises MetricError if a metric cannot be used as a loss,
    if weights are negative, infinite or all 0, or if a metric cannot compare the images.
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
    """Raise MetricError if `distortion` cannot use the metrics or weights in `weights`."""
    for name, weight in weights.items():
        if not find_metric(name).differentiable:
            raise MetricError(
                f"metric {name} cannot be trained on; expected some of {', '.join(MSE_PER_LOSS)}"
            )
        if not 0 <= weight < float("inf"):
            raise MetricError(
                f"weight {weight} of metric {name}: expected a finite number, 0 or more"
            )
    if not any(weights.values()):
        raise MetricError(
            f"no metric has a weight above 0; expected some of {', '.join(MSE_PER_LOSS)}"
        )
