"""The distortion that training minimises: a weighted sum of metrics' losses, scaled to the MSE."""

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
"""Factor per metric that scales its loss to the MSE: the fall of the MSE divided by the fall of the
loss from JPEG quality 35 to 65 on Kodak.

A codec that minimises bpp + lambda * distortion settles where the distortion falls by 1 / lambda
per bpp. At 0.9 bpp and 31 dB every scaled loss falls as fast as the MSE, so that all metrics lead
to about the same rate under the same lambda. That point belongs to the lambda of quality level 4
(of 0 to 7). `benchmarks/metric_costs.py --scales` prints the figures.
"""


def distortion(original: Tensor, reconstruction: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Weighted sum [N] of the metrics' losses, each scaled by its MSE_PER_LOSS.

    The original [N, 3, H, W] is sRGB in [0, 1]. The reconstruction may leave this range; only the
    MSE penalises that. `{"psnr": 1}` is the MSE. Gradients are finite. Raises MetricError for
    metrics that cannot be trained on, for weights that are negative or all 0, and for images that
    a metric cannot compare.
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
