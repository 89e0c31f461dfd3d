"""Shipped configuration: `run.yaml` and the groups it is composed of."""
