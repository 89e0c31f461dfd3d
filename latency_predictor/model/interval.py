"""Intervals from the errors of held-out predictions, and where the intervals were checked.

The method is conformal prediction on log errors divided by the spread that the model expects, so
that less certain predictions get wider intervals. Errors within a laboratory, a device or a family
of networks are correlated. The quantile is therefore taken from the mean of the groups' error
distributions, in which each group counts once however many rows it has ("pooling CDFs", Dunn,
Wasserman and Ramdas 2022, doi:10.1080/01621459.2022.2060112). There are few groups, so coverage is
checked but not guaranteed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latency_predictor.model.times import Estimate

NOISE = 0.05
"""Relative standard deviation of measurements within one laboratory."""

LEVEL_SPREAD, OVERHEAD_SPREAD, MISFIT_SPREAD = 0.05, 0.2, 0.07
"""Standard deviations of the logs of three random effects: a laboratory's factor on all its times,
its further factor on the fixed time per program, and the roofline's error for a family of networks.
Expectation maximisation on the Neural Engine's rows gives 0.046 to 0.053, 0.18 to 0.20 and 0.065 to
0.071, whichever of the eleven laboratories is left out."""

COVERAGE = 0.9
"""Share of the true latencies that an interval is meant to contain."""
_SEEN = 0.95
"""Quantile of the held-out rows' `epistemic_std` up to which an interval counts as checked."""


@dataclass(frozen=True)
class Interval:
    """Width of the intervals of one calibration.

    On a log scale an interval extends to both sides by `quantile` times the spread. The spread
    combines the `epistemic_std` of the estimate, the standard deviation `noise` of all effects that
    are equal for all programs, and `overhead`, that of the log of the fixed time per program.
    Intervals were checked on programs with an `epistemic_std` of up to `checked`.
    """

    noise: float
    overhead: float
    quantile: float
    checked: float

    @classmethod
    def of(
        cls,
        held_out: Estimate,
        ms: NDArray[np.float64],
        groups: NDArray[np.generic],
        new_source: bool,
    ) -> Interval:
        """The interval from the errors of held-out estimates of the measured times `ms` [rows].

        `groups` [rows] labels rows whose errors are correlated. `new_source` says whether the
        intervals must hold for a laboratory without measurements.
        """
        level, overhead = (LEVEL_SPREAD, OVERHEAD_SPREAD) if new_source else (0.0, 0.0)
        noise = float(np.sqrt(NOISE**2 + MISFIT_SPREAD**2 + level**2))
        unit = cls(noise, overhead, quantile=1.0, checked=0.0)
        scores = np.abs(np.log(held_out.ms / ms)) / unit.spread(held_out)
        checked = float(np.quantile(held_out.epistemic_std, _SEEN))
        return replace(unit, quantile=pooled_quantile(scores, groups), checked=checked)

    def spread(self, estimate: Estimate) -> NDArray[np.float64]:
        """Expected standard deviation of each program's log error: shape [programs]."""
        overhead = self.overhead * estimate.overhead_share
        return np.sqrt(estimate.epistemic_std**2 + self.noise**2 + overhead**2)

    def factor(self, estimate: Estimate) -> NDArray[np.float64]:
        """Factor f >= 1 of each program's interval [ms / f, ms * f]: shape [programs]."""
        return np.exp(self.quantile * self.spread(estimate))

    def distance(self, estimate: Estimate) -> NDArray[np.float64]:
        """`epistemic_std` of each program, as a multiple of `checked`: shape [programs].

        A program whose distance exceeds 1 should be measured. Distances are 0 if `checked` is 0.
        """
        if self.checked == 0:
            return np.zeros_like(estimate.epistemic_std)
        return estimate.epistemic_std / self.checked


def ratio_spread(
    difference_std: NDArray[np.float64], overhead_shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Expected standard deviation of the log error of ratios of times: shape [pairs].

    Both times of a pair are of one family of networks, measured by one laboratory on one device, so
    that the laboratory's factor and the family's error cancel. `difference_std` [pairs] is the
    standard deviation of the difference of the log times that is due to uncertain model constants,
    and `overhead_shares` [pairs] is the difference of `Estimate.overhead_share`.
    """
    overhead = OVERHEAD_SPREAD * overhead_shares
    return np.sqrt(difference_std**2 + 2 * NOISE**2 + overhead**2)


def pooled_quantile(scores: NDArray[np.float64], groups: NDArray[np.generic]) -> float:
    """The `COVERAGE` quantile of the scores [rows] if every group [rows] has the same weight.

    With n rows the level is raised by the factor 1 + 1 / n, up to the largest score, as in
    conformal prediction without groups.
    """
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores)
    below = np.cumsum(1 / sizes[number][order]) / len(sizes)
    # Sums of shares such as 0.1 + 0.2 are slightly too small or too large.
    reached = int(np.searchsorted(below, COVERAGE * (1 + 1 / len(scores)) - 1e-9))
    return float(scores[order][min(reached, len(scores) - 1)])
