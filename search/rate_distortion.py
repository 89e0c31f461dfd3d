"""Rate-distortion curves and the Bjontegaard difference between two of them, or two sets."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import bjontegaard
import numpy as np
from numpy.typing import NDArray

MIN_OVERLAP = 0.25
"""Least share of the two curves' joint quality range that both must cover."""

Curve = Mapping[str, Sequence[float]]
"""`bpp` and one list per metric, an entry per quality level, by rising quality."""

PhotographCurves = Mapping[str, NDArray[np.float64]]
"""`bpp` and one array per metric, all [photographs, quality levels], by rising quality."""
COVERAGE = 0.90
"""Of the bootstrap interval, between its equal tails."""
RESAMPLES = 500
MAX_REFUSED = 0.05
"""Most resamples, as a share, that may have no BD-rate without the interval being refused."""


class CurveError(ValueError):
    """Curves between which no rate difference can be stated."""


def bd_rate_percent(reference: Curve, test: Curve, metric: str) -> float:
    """Mean difference in rate at equal `metric`, in percent; negative is better than `reference`.

    Piecewise cubic (PCHIP) interpolation of log rate over the metric, integrated over the common
    range, as in the common test conditions of JCT-VC and JVET; curves may differ in their number of
    points. Raises CurveError where a curve does not rise or the ranges hardly overlap.
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
            f"the curves share {max(high - low, 0) / span:.0%} of their {metric} range, "
            f"at least {MIN_OVERLAP:.0%} is needed"
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
    """A BD-rate and what other photographs of the same kind would make of it, all in percent."""

    percent: float
    """Of the mean curves."""
    low: float
    high: float
    """Ends of the interval that holds COVERAGE of the resamples."""


def mean_curve(curves: PhotographCurves, chosen: NDArray[np.intp] | None = None) -> Curve:
    """Mean rate and mean metrics of each quality level, over all photographs or chosen ones."""
    return {
        name: (values if chosen is None else values[chosen]).mean(axis=0).tolist()
        for name, values in curves.items()
    }


def bd_rate_over_photographs(
    reference: PhotographCurves, test: PhotographCurves, metric: str, seed: int = 0
) -> BdRate:
    """BD-rate of mean curves, with a bootstrap interval over photographs.

    Both sets hold the same photographs in the same order. Each resample draws as many photographs
    with replacement, the same for both codecs, and takes the BD-rate of their mean curves. Raises
    CurveError where the mean curves, or more than MAX_REFUSED of the resamples, have no BD-rate.
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
            f"BD-rate, at most {MAX_REFUSED:.0%} may"
        )
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return BdRate(percent, float(low), float(high))
