"""Rate-distortion curves and the Bjontegaard difference between two of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import bjontegaard
import numpy as np

MIN_OVERLAP = 0.25
"""Least share of the two curves' joint quality range that both must cover."""

Curve = Mapping[str, Sequence[float]]
"""`bpp` and one list per metric, an entry per quality level, by rising quality."""


class CurveError(ValueError):
    """Curves between which no rate difference can be stated."""


def bd_rate_percent(reference: Curve, test: Curve, metric: str) -> float:
    """Mean difference in rate at equal `metric`, in percent; negative is better than `reference`.

    Piecewise cubic (PCHIP) interpolation of log rate over the metric, integrated over the common
    range. Raises CurveError where a curve does not rise or the ranges hardly overlap.
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
                reference["bpp"], reference[metric], test["bpp"], test[metric], method="pchip"
            )
        )
