"""Progress of a run, importance and dependence of parameters, and forecasts of the surrogate.

All results consist of numbers that JSON can express.
"""
