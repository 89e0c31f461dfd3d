"""Op lists of published networks by name, of traced torch modules and of Core ML packages."""

from latency_predictor.networks.trace import trace

__all__ = ["trace"]
