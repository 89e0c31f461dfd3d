"""Intervals from the errors of held-out predictions, and the border of what was calibrated.

Conformal prediction (Lei et al. 2018, doi:10.1080/01621459.2017.1307116) on log errors that are
divided by the spread a model expects of them: what it knows less of gets a wider interval. The
errors are those of cross-validation and come in families: coverage is checked, not guaranteed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_predictor.times import Estimate

NOISE, SOURCE_SPREAD = 0.05, 0.06
"""Relative spread of a measurement within a laboratory, and of laboratories: together they explain
the median of 1.08x over the 28 networks of the shipped profiles that were measured more than once
on a chip."""

COVERAGE = 0.9
_SEEN = 0.95
"""Quantile of the held-out rows' ignorance up to which the interval counts as checked."""


@dataclass(frozen=True)
class Interval:
    """How predictions of one calibration spread.

    `noise` is the standard deviation of the log of a measurement; an interval reaches `quantile`
    times the spread, noise and ignorance together, to both sides. Intervals were checked on
    programs with an ignorance of up to `checked`.
    """

    noise: float
    quantile: float
    checked: float

    @classmethod
    def of(cls, held_out: Estimate, ms: NDArray[np.float64], noise: float) -> Interval:
        """From predictions of rows that were held out, and their measured times [rows]."""
        spread = np.hypot(held_out.ignorance, noise)
        errors = np.sort(np.abs(np.log(held_out.ms / ms)) / spread)
        rank = min(int(np.ceil((len(errors) + 1) * COVERAGE)), len(errors))
        checked = float(np.quantile(held_out.ignorance, _SEEN))
        return cls(noise, float(errors[rank - 1]), checked)

    def factor(self, estimate: Estimate) -> NDArray[np.float64]:
        """Factor f >= 1 of each program: [ms / f, ms * f] holds the truth: shape [programs]."""
        return np.exp(self.quantile * np.hypot(estimate.ignorance, self.noise))

    def distance(self, estimate: Estimate) -> NDArray[np.float64]:
        """Ignorance relative to the largest that was checked; beyond 1, measure: [programs]."""
        if self.checked == 0:
            return np.zeros_like(estimate.ignorance)
        return estimate.ignorance / self.checked
