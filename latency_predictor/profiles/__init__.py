"""Measured latencies: the shipped table of published figures, profile files, and row filters."""
