"""Intervals of latencies and of their ratios, and where the intervals were checked.

The statistical model has five parts. The log of a measured time is the log of the roofline's time
for the device's constants, plus four errors:

- the laboratory's factor on all its times, and its further factor on the fixed time per program;
- the roofline's misfit, which networks share to the extent that the same constants determine their
  times: fully within a family whose networks differ little, and not at all between families;
- the noise of the single measurement;
- the uncertainty of the constants themselves, a normal distribution (`calibration`). It is narrow
  for what was measured often, and has the width of the prior for kinds of ops and sizes that no
  published row has (transposed convolutions, activations of 512x512): this is the stated prior
  that widens the intervals of image-to-image networks. For a device without rows it has the spread
  between devices, and a factor on all its times is added.

The *absolute* interval is for a laboratory and a family of networks without rows, so all parts
count. The *relative* interval is for the ratio of two networks of one family that one laboratory
measures on one device. The laboratory's factor cancels, the uncertainty of constants cancels as far
as both networks depend on them alike, and so does the misfit. The interval is therefore narrower
the more alike two networks are.

Both are conformal: the spread that the model expects is multiplied by a quantile of the errors of
predictions that were held out in the same way, divided by their spread. Errors within a laboratory,
a device or a family are correlated. The quantile is therefore taken from the mean of the groups'
error distributions, in which each group counts once however many rows it has ("pooling CDFs", Dunn,
Wasserman and Ramdas 2022, doi:10.1080/01621459.2022.2060112).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latency_predictor.model.times import Difference, Estimate

NOISE = 0.05
"""Relative standard deviation of measurements within one laboratory."""

LEVEL_SPREAD, OVERHEAD_SPREAD, MISFIT_SPREAD = 0.05, 0.2, 0.07
"""Standard deviations of the logs of three random effects: a laboratory's factor on all its times,
its further factor on the fixed time per program, and the roofline's misfit for a family.
Expectation maximisation on the Neural Engine's rows gives 0.046 to 0.053, 0.18 to 0.20 and 0.065 to
0.071, whichever of the eleven laboratories is left out."""
DEVICE_SPREAD = 0.2
"""Standard deviation of the log of a device's factor on all its times, beyond the priors of its
constants: the spread of the mean errors of six calibrations that were left out in turn."""

_ALIKE = 0.1
"""Distance of two networks (`Difference.distance`) from which on they share little of the misfit.
Within families, errors of ratios grow up to about twice this distance."""

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
        new_device: bool = False,
    ) -> Interval:
        """The interval from the errors of held-out estimates of the measured times `ms` [rows].

        `groups` [rows] labels rows whose errors are correlated. `new_source` and `new_device` say
        whether the intervals must hold for a laboratory, or a device, without measurements. The
        level of the quantile is raised for the number of groups, as hierarchical conformal
        prediction requires for a group without rows (Lee, Barber and Willett 2023,
        arXiv:2306.06342). It is not raised if the groups are devices, because there are too few.
        """
        level, overhead = (LEVEL_SPREAD, OVERHEAD_SPREAD) if new_source else (0.0, 0.0)
        of_device = DEVICE_SPREAD if new_device else 0.0
        noise = float(np.sqrt(NOISE**2 + MISFIT_SPREAD**2 + level**2 + of_device**2))
        unit = cls(noise, overhead, quantile=1.0, checked=0.0)
        scores = np.abs(np.log(held_out.ms / ms)) / unit.spread(held_out)
        checked = float(np.quantile(held_out.epistemic_std, _SEEN))
        raised = 1.0 if new_device else 1 + 1 / len(np.unique(groups))
        quantile = pooled_quantile(scores, groups, COVERAGE * raised)
        return replace(unit, quantile=quantile, checked=checked)

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


def ratio_spread(difference: Difference) -> NDArray[np.float64]:
    """Expected standard deviation of the log error of ratios of times: shape [pairs].

    Both times of a pair are of one family of networks, measured by one laboratory on one device.
    """
    overhead = OVERHEAD_SPREAD * difference.overhead_share
    unshared = -np.expm1(-((difference.distance / _ALIKE) ** 2))
    misfit = 2 * MISFIT_SPREAD**2 * unshared
    return np.sqrt(difference.epistemic_std**2 + overhead**2 + misfit + 2 * NOISE**2)


def pooled_quantile(
    scores: NDArray[np.float64], groups: NDArray[np.generic], level: float
) -> float:
    """The quantile of the scores [rows] if every group [rows] has the same weight.

    A `level` above 1 gives the largest score.
    """
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores)
    below = np.cumsum(1 / sizes[number][order]) / len(sizes)
    # Sums of shares such as 0.1 + 0.2 are slightly too small or too large.
    reached = int(np.searchsorted(below, level - 1e-9))
    return float(scores[order][min(reached, len(scores) - 1)])
