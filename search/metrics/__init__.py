"""Quality metrics of reconstructions, by name. A metric's package is imported on its first use."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from search.metrics.cvvdp import CVVDP
from search.metrics.external import OPTIONAL_METRICS, why_unavailable
from search.metrics.features import LITE0_LPIPS, LITE0_WASSERSTEIN
from search.metrics.interface import Metric, MetricError
from search.metrics.ssimulacra2 import SSIMULACRA2
from search.metrics.structural import HAARPSI, MS_GMSD, MS_SSIM, PSNR

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        SSIMULACRA2,
        MS_SSIM,
        HAARPSI,
        MS_GMSD,
        PSNR,
        CVVDP,
        LITE0_LPIPS,
        LITE0_WASSERSTEIN,
    )
}
"""Metrics that are always available."""
KNOWN: Mapping[str, Metric] = {**METRICS, **OPTIONAL_METRICS}
"""All metrics, including optional ones whose packages or weights may be missing."""

__all__ = ["KNOWN", "METRICS", "Metric", "MetricError", "available", "find_metric"]


def available() -> dict[str, Metric]:
    """METRICS and the optional metrics whose packages and weights are installed."""
    return {
        name: metric
        for name, metric in KNOWN.items()
        if name in METRICS or why_unavailable(name) is None
    }


def find_metric(name: str) -> Metric:
    """The metric with this name.

    Raises MetricError for an unknown name, and for a metric whose package or weights are missing.
    """
    if name in METRICS:
        return METRICS[name]
    here = available()
    if name in here:
        return here[name]
    listed = f"available: {', '.join(here)}"
    if name in OPTIONAL_METRICS:
        raise MetricError(f"metric {name} {why_unavailable(name)}; {listed}")
    near = get_close_matches(name, list(KNOWN), 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise MetricError(f"metric {name!r} is unknown; {hint}{listed}")
