"""Photographs: finding, splitting, decoding, cropping and caching; shipped crops; masks of text."""

from search.data.photographs import Crops, DataError, Photographs, load_photographs

__all__ = ["Crops", "DataError", "Photographs", "load_photographs"]
