"""Measure programs on an iPhone or this computer, or import measurements of other software."""
