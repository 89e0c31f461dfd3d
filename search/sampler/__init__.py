"""The grey-box sampler: it knows the costs of candidates, and learns their quality.

It suggests the candidate with the largest expected hypervolume improvement. This package imports
nothing from the rest of the project.
"""

from search.sampler.grey_box import GreyBoxSampler, PoolExhausted

__all__ = ["GreyBoxSampler", "PoolExhausted"]
