"""The tables that `benchmarks/latency.py` prints, one module per kind of comparison."""
