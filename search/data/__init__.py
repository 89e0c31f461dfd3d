"""Photographs: finding, splitting, decoding, cropping and caching; and the shipped crops."""

from search.data.photographs import Crops, DataError, Photographs, load_photographs

__all__ = ["Crops", "DataError", "Photographs", "load_photographs"]
