"""Rate-distortion curves, and BD-rates between two curves or two sets of curves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import bjontegaard
import numpy as np
from numpy.typing import NDArray

MIN_OVERLAP = 0.25
"""Two curves have a BD-rate if the quality range that they share is at least this fraction of the
range from the lowest to the highest quality of either."""

Curve = Mapping[str, Sequence[float]]
"""Rate-distortion curve of a codec: a list of rates, `bpp`, and a list of values per metric. Each
list has an entry per quality level, in rising order of quality."""

PhotographCurves = Mapping[str, NDArray[np.float64]]
"""Curves of a codec on several photographs: an array [photographs, quality levels] for `bpp` and
for each metric, in rising order of quality."""
INTERVAL_COVERAGE = 0.90
"""Share of the resamples in the bootstrap interval. Equal shares lie below and above the
interval."""
RESAMPLES = 500
"""Number of bootstrap resamples."""
MAX_REFUSED = 0.05
"""Largest share of resamples that may lack a BD-rate; above it, no interval is given."""


class CurveError(ValueError):
    """Two curves have no BD-rate: a curve does not rise, or the quality ranges hardly overlap."""


def bd_rate_percent(reference: Curve, test: Curve, metric: str) -> float:
    """BD-rate of the curve `test` against the curve `reference`, in percent.

    It is the mean difference in rate at equal values of `metric`, and negative if `test` needs
    fewer bits. Log rate is interpolated over the metric by piecewise cubics (PCHIP) and integrated
    over the common range, as in the common test conditions of JCT-VC and JVET. The curves may
    differ in their number of points. Raises CurveError if a curve does not rise, or if the ranges
    overlap by less than MIN_OVERLAP.
    """
    for name, curve in (("reference", reference), ("candidate", test)):
        values = np.column_stack([curve["bpp"], curve[metric]])
        if not np.isfinite(values).all() or (np.diff(values, axis=0) <= 0).any():
            raise CurveError(
                f"the {name}'s {metric} does not rise with its rate: {values.tolist()}"
            )
    low = max(reference[metric][0], test[metric][0])
    high = min(reference[metric][-1], test[metric][-1])
    span = max(reference[metric][-1], test[metric][-1]) - min(reference[metric][0], test[metric][0])
    if high - low < MIN_OVERLAP * span:
        raise CurveError(
            f"the curves share {max(high - low, 0) / span:.0%} of their {metric} range: "
            f"expected at least {MIN_OVERLAP:.0%}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(
            bjontegaard.bd_rate(
                reference["bpp"],
                reference[metric],
                test["bpp"],
                test[metric],
                method="pchip",
                require_matching_points=False,
            )
        )


@dataclass(frozen=True)
class BdRate:
    """A BD-rate and its bootstrap interval over photographs, in percent."""

    percent: float
    """BD-rate of the mean curves."""
    low: float
    high: float
    """Ends of the interval that contains a share of INTERVAL_COVERAGE of the resamples."""


def mean_curve(curves: PhotographCurves, chosen: NDArray[np.intp] | None = None) -> Curve:
    """Mean rate and metrics per quality level, over all photographs or the `chosen` rows."""
    return {
        name: (values if chosen is None else values[chosen]).mean(axis=0).tolist()
        for name, values in curves.items()
    }


def bd_rate_over_photographs(
    reference: PhotographCurves, test: PhotographCurves, metric: str, seed: int = 0
) -> BdRate:
    """BD-rate between the mean curves of two codecs, with a bootstrap interval over photographs.

    `reference` and `test` contain the same photographs in the same order. A resample draws as many
    photographs as there are, with replacement, and the same photographs for both codecs. It yields
    the BD-rate between the mean curves over these photographs. Raises CurveError if the mean curves
    over all photographs have no BD-rate, or if more than MAX_REFUSED of the resamples have none.
    """
    percent = bd_rate_percent(mean_curve(reference), mean_curve(test), metric)
    reference, test = (
        {name: curves[name] for name in ("bpp", metric)} for curves in (reference, test)
    )
    photographs = len(reference["bpp"])
    draws = np.random.default_rng(seed).integers(photographs, size=(RESAMPLES, photographs))
    resampled = []
    for draw in draws:
        with suppress(CurveError):
            resampled.append(
                bd_rate_percent(mean_curve(reference, draw), mean_curve(test, draw), metric)
            )
    refused = 1 - len(resampled) / RESAMPLES
    if refused > MAX_REFUSED:
        raise CurveError(
            f"{refused:.0%} of the resamples of {photographs} photographs have no {metric} "
            f"BD-rate: expected at most {MAX_REFUSED:.0%}"
        )
    tail = (1 - INTERVAL_COVERAGE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return BdRate(percent, float(low), float(high))
