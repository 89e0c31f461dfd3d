"""Promotion: from a point of a run to a fully trained model with a card."""
