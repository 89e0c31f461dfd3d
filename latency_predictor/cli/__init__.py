"""The commands of `python -m latency_predictor`."""
