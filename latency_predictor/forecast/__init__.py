"""Prediction of a whole network: its time, sizes and placement, op by op."""
