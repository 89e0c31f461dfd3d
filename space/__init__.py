"""Codec architectures and the search space that numbers them.

The subpackages hold the codec itself, the files that it writes, and the op lists from which its
latency is predicted.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from space.architecture import Architecture, Chain
    from space.search_space import SearchSpace, SpaceError

# These names are imported when they are first used, as pandas takes long to import.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "architecture": ["Architecture", "Chain"],
        "search_space": ["SearchSpace", "SpaceError"],
    },
)

__all__ = [
    "Architecture",
    "Chain",
    "SearchSpace",
    "SpaceError",
]
