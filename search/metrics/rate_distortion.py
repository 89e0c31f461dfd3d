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
"""Smallest share of the two curves' joint quality range that both curves must cover."""

Curve = Mapping[str, Sequence[float]]
"""`bpp` and one list per metric, each with an entry per quality level in rising order."""

PhotographCurves = Mapping[str, NDArray[np.float64]]
"""`bpp` and one array [photographs, quality levels] per metric, in rising order of quality."""
INTERVAL_COVERAGE = 0.90
"""Coverage of the bootstrap interval, which has equal tails."""
RESAMPLES = 500
"""Number of bootstrap resamples."""
MAX_REFUSED = 0.05
"""Largest share of resamples without a BD-rate at which an interval is still given."""


class CurveError(ValueError):
    """Two curves have no BD-rate: one does not rise, or their quality ranges hardly overlap."""


def bd_rate_percent(reference: Curve, test: Curve, metric: str) -> float:
    """Mean difference in rate at equal `metric` in percent; negative if `test` needs fewer bits.

    Log rate is interpolated over the metric by piecewise cubics (PCHIP) and integrated over the
    common range, as in the common test conditions of JCT-VC and JVET. The curves may differ in
    their number of points. Raises CurveError if a curve does not rise or the ranges overlap by
    less than MIN_OVERLAP.
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
    """Ends of the interval that contains COVERAGE of the resamples."""


def mean_curve(curves: PhotographCurves, chosen: NDArray[np.intp] | None = None) -> Curve:
    """Mean rate and metrics per quality level, over all photographs or the `chosen` rows."""
    return {
        name: (values if chosen is None else values[chosen]).mean(axis=0).tolist()
        for name, values in curves.items()
    }


def bd_rate_over_photographs(
    reference: PhotographCurves, test: PhotographCurves, metric: str, seed: int = 0
) -> BdRate:
    """BD-rate of the mean curves, with a bootstrap interval over photographs.

    Both sets contain the same photographs in the same order. A resample draws as many photographs
    with replacement, the same ones for both codecs, and gives the BD-rate of their mean curves.
    Raises CurveError if the mean curves or more than MAX_REFUSED of the resamples have no BD-rate.
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
