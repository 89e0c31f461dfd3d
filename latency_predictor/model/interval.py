"""Intervals from the errors of held-out predictions, and where the intervals were checked.

The method is conformal prediction (Lei et al. 2018, doi:10.1080/01621459.2017.1307116) on log
errors divided by the spread that the model expects, so that less certain predictions get wider
intervals. The errors come from cross-validation and are correlated within families of networks.
Coverage is therefore checked but not guaranteed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_predictor.model.times import Estimate

NOISE, SOURCE_SPREAD = 0.05, 0.06
"""Relative standard deviations of measurements within one laboratory, and between laboratories.
Together they explain the median factor of 1.08 between measurements of the same network on the same
chip, over the 28 networks of the shipped profiles that were measured more than once."""

COVERAGE = 0.9
"""Share of the true latencies that an interval is meant to contain."""
_SEEN = 0.95
"""Quantile of the held-out rows' `epistemic_std` up to which an interval counts as checked."""


@dataclass(frozen=True)
class Interval:
    """Width of the intervals of one calibration.

    `noise` is the standard deviation of the log of a measurement. On a log scale an interval
    extends to both sides by `quantile` times the spread, which combines `noise` and the
    `epistemic_std` of the estimate. Intervals were checked on programs with an `epistemic_std` of
    up to `checked`.
    """

    noise: float
    quantile: float
    checked: float

    @classmethod
    def of(cls, held_out: Estimate, ms: NDArray[np.float64], noise: float) -> Interval:
        """The interval from the errors of held-out estimates of the measured times `ms` [rows]."""
        spread = np.hypot(held_out.epistemic_std, noise)
        errors = np.sort(np.abs(np.log(held_out.ms / ms)) / spread)
        rank = min(int(np.ceil((len(errors) + 1) * COVERAGE)), len(errors))
        checked = float(np.quantile(held_out.epistemic_std, _SEEN))
        return cls(noise, float(errors[rank - 1]), checked)

    def factor(self, estimate: Estimate) -> NDArray[np.float64]:
        """Factor f >= 1 of each program's interval [ms / f, ms * f]: shape [programs]."""
        return np.exp(self.quantile * np.hypot(estimate.epistemic_std, self.noise))

    def distance(self, estimate: Estimate) -> NDArray[np.float64]:
        """`epistemic_std` of each program, as a multiple of `checked`: shape [programs].

        A program whose distance exceeds 1 should be measured. Distances are 0 if `checked` is 0.
        """
        if self.checked == 0:
            return np.zeros_like(estimate.epistemic_std)
        return estimate.epistemic_std / self.checked
