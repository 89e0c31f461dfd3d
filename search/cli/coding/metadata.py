"""Descriptions of the metadata in a compressed photograph."""

from __future__ import annotations

from search.data import exif
from space.bitstream.container import Metadata


def parts_of(metadata: Metadata) -> str:
    """The parts and their sizes, such as `EXIF 123 bytes with the position (GPS)`; or nothing."""
    parts = []
    if metadata.exif:
        position = " with the position (GPS)" if exif.has_position(metadata.exif) else ""
        parts.append(f"EXIF {len(metadata.exif):,} bytes{position}")
    if metadata.icc:
        parts.append(f"ICC profile {len(metadata.icc):,} bytes")
    return ", ".join(parts)
