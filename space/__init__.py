"""Codec architectures and the search space that numbers them.

The subpackages hold the codec itself, the files that it writes, and the op lists from which its
latency is predicted.
"""

from space.architecture import Architecture, Chain
from space.search_space import SearchSpace, SpaceError

__all__ = ["Architecture", "Chain", "SearchSpace", "SpaceError"]
