"""The grey-box sampler: expected hypervolume improvement with known costs and learned quality.

This package imports nothing from the rest of the project.
"""

from search.sampler.grey_box import GreyBoxSampler, PoolExhausted

__all__ = ["GreyBoxSampler", "PoolExhausted"]
