"""The search itself: objectives, Optuna study, loop, rungs, journal, and records of a run."""

from search.study.front import front_of, hypervolume, to_measure
from search.study.goal import Band, Front

__all__ = ["Band", "Front", "front_of", "hypervolume", "to_measure"]
