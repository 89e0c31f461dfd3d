"""Placement: the probability, with reasons, that a program leaves the Neural Engine."""

from latency_predictor.placement.placement import Placement, Risk

__all__ = ["Placement", "Risk"]
