"""Promotion: full training of a run's candidates into models with cards."""
