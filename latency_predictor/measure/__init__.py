"""Measurements of an iPhone or this computer, and import of those made with other software."""
