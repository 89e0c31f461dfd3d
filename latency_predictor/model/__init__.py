"""The latency model: a smooth roofline per op, priors, calibration to measurements, and intervals.

The baselines and the cross-validation are here as well.
"""

from latency_predictor.model.interval import Interval
from latency_predictor.model.roofline import Roofline
from latency_predictor.model.times import Estimate, Times

__all__ = ["Estimate", "Interval", "Roofline", "Times"]
