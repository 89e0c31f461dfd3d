"""Op lists of networks by name, of traced torch modules, of Core ML programs and of ONNX files."""

from latency_predictor.networks.trace import trace

__all__ = ["trace"]
