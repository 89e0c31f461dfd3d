"""Photographs: finding, splitting, decoding, cropping and caching; shipped crops; masks of text."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from search.data.photographs import Crops, DataError, Photographs, load_photographs

# These names are imported when they are first used, as torch takes seconds to import.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "photographs": ["Crops", "DataError", "Photographs", "load_photographs"],
    },
)

__all__ = [
    "Crops",
    "DataError",
    "Photographs",
    "load_photographs",
]
