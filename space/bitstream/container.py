"""The file format of a compressed image: a header, a table of tiles, and a payload per tile.

Numbers are little-endian, and every part has its own CRC-32:

    header: magic "PCDX", version u8, quality u16 (hundredths of a level), width u32, height u32,
        model id (8 bytes), CRC of these
    tile table: length in bytes u32 and CRC u32 of every tile's payload; CRC of the table
    metadata, in version 2 alone: lengths of the EXIF block u32 and of the ICC profile u32; CRC of
        both lengths; EXIF block and ICC profile, not compressed; CRC of both
    payloads: one per tile, in the order of `tiling.grid`

A file without metadata has version 1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from zlib import crc32

from latency_predictor.errors import UserError
from space.architecture import LEVELS, QUALITY_STEPS
from space.bitstream import tiling

MAGIC = b"PCDX"
CONTAINER_VERSION = 1
"""Version of a file without metadata."""
METADATA_VERSION = 2
"""Version of a file with metadata."""
MAX_METADATA = 2**22
"""Largest size of an EXIF block and of an ICC profile, in bytes."""
MAX_SIDE = 65535
"""Largest width and largest height of an image, px."""
MAX_PIXELS = 2**28
"""Largest number of pixels of an image.

The limit keeps a forged header from claiming all memory.
"""
_HEADER = struct.Struct("<4sBHII8s")
_ENTRY = struct.Struct("<II")
_LENGTHS = struct.Struct("<II")
_CRC = struct.Struct("<I")


class BitstreamError(UserError):
    """A compressed file that cannot be decoded, or an image or quality that cannot be encoded."""


@dataclass(frozen=True)
class Metadata:
    """Metadata of a photograph, which decoding does not read.

    Raises BitstreamError if a part has more than MAX_METADATA bytes.
    """

    exif: bytes = b""
    """EXIF block, which begins as a TIFF file does; empty if there is none."""
    icc: bytes = b""
    """ICC profile of the decoded pixels; empty for sRGB."""

    def __post_init__(self) -> None:
        for name, part in (("EXIF block", self.exif), ("ICC profile", self.icc)):
            if len(part) > MAX_METADATA:
                raise BitstreamError(
                    f"impossible {name} of {len(part):,} bytes: at most {MAX_METADATA:,}"
                )

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.exif or self.icc)


NO_METADATA = Metadata()


@dataclass(frozen=True)
class Header:
    """Header of a compressed image: its size, its quality and the model that wrote it.

    Raises BitstreamError if the size or the quality is out of range.
    """

    width: int
    """Width of the image from 1 to MAX_SIDE, px."""
    height: int
    """Height of the image from 1 to MAX_SIDE, px. Width times height is at most MAX_PIXELS."""
    quality_steps: int
    """Quality level times QUALITY_STEPS, from 0 to (LEVELS - 1) * QUALITY_STEPS."""
    model_id: bytes
    """Id of the model that wrote the payloads, 8 bytes."""
    metadata: Metadata = NO_METADATA

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE):
            raise BitstreamError(
                f"impossible size {self.width}x{self.height}: sides are 1 to {MAX_SIDE} pixels"
            )
        if self.width * self.height > MAX_PIXELS:
            raise BitstreamError(
                f"impossible size {self.width}x{self.height}: at most {MAX_PIXELS:,} pixels"
            )
        if not 0 <= self.quality_steps <= (LEVELS - 1) * QUALITY_STEPS:
            raise BitstreamError(
                f"impossible quality {self.quality_steps / QUALITY_STEPS}: "
                f"levels are 0 to {LEVELS - 1}"
            )


def quality_steps(quality: float) -> int:
    """Convert a quality level to a whole number of steps, QUALITY_STEPS per level.

    Raises BitstreamError if the quality level is not from 0 to LEVELS - 1.
    """
    if not 0 <= quality <= LEVELS - 1:
        raise BitstreamError(f"impossible quality {quality}: levels are 0 to {LEVELS - 1}")
    return round(quality * QUALITY_STEPS)


def write(header: Header, payloads: Sequence[bytes]) -> bytes:
    """The bytes of a compressed image with this header and these payloads.

    There is one payload per tile, in the order of `tiling.grid`. Each has less than 2^32 bytes.
    """
    version = METADATA_VERSION if header.metadata else CONTAINER_VERSION
    head = _HEADER.pack(
        MAGIC, version, header.quality_steps, header.width, header.height, header.model_id
    )
    table = b"".join(_ENTRY.pack(len(payload), crc32(payload)) for payload in payloads)
    metadata = _metadata_bytes(header.metadata) if header.metadata else b""
    return b"".join((_checked(head), _checked(table), metadata, *payloads))


def _metadata_bytes(metadata: Metadata) -> bytes:
    lengths = _LENGTHS.pack(len(metadata.exif), len(metadata.icc))
    return _checked(lengths) + _checked(metadata.exif + metadata.icc)


def read(data: bytes) -> tuple[Header, list[bytes]]:
    """The header and the payloads of a compressed image, verified by their CRCs.

    Raises BitstreamError if the data are of another kind or version, damaged, truncated or
    extended.
    """
    header, version = _read_header(data)
    start = _HEADER.size + _CRC.size
    tiles = tiling.count(header.height, header.width)
    end = start + tiles * _ENTRY.size + _CRC.size
    _need(data, end, f"the table of {tiles} tiles")
    entries = list(_ENTRY.iter_unpack(_verified(data[start:end], "tile table")))
    if version == METADATA_VERSION:
        metadata, end = _read_metadata(data, end)
        header = replace(header, metadata=metadata)
    return header, _read_payloads(data, end, entries)


def check_model(header: Header, model_id: bytes) -> None:
    """Raise BitstreamError if the file with this header was not written by model `model_id`."""
    if header.model_id != model_id:
        wanted, given = header.model_id.hex(), model_id.hex()
        raise BitstreamError(
            f"written by model {wanted}, which model {given} cannot decode; expected the file of "
            f"model {wanted}, which `decode` takes by --model"
        )


def _read_header(data: bytes) -> tuple[Header, int]:
    """The header without metadata, and the version."""
    if not data.startswith(MAGIC):
        raise BitstreamError(
            f"not a compressed image: it begins with {data[: len(MAGIC)]!r} instead of {MAGIC!r}"
        )
    _need(data, len(MAGIC) + 1, "the version")
    version = data[len(MAGIC)]
    if version not in (CONTAINER_VERSION, METADATA_VERSION):
        raise BitstreamError(
            f"format version {version}, but only versions {CONTAINER_VERSION} and "
            f"{METADATA_VERSION} can be read"
        )
    end = _HEADER.size + _CRC.size
    _need(data, end, "the header")
    _, _, quality_steps, width, height, model_id = _HEADER.unpack(_verified(data[:end], "header"))
    return Header(width, height, quality_steps, model_id), version


def _read_metadata(data: bytes, start: int) -> tuple[Metadata, int]:
    """The metadata that begin at byte `start`, and where they end."""
    end = start + _LENGTHS.size + _CRC.size
    _need(data, end, "the lengths of metadata")
    lengths = _LENGTHS.unpack(_verified(data[start:end], "lengths of metadata"))
    for length in lengths:
        if length > MAX_METADATA:
            raise BitstreamError(
                f"impossible metadata of {length:,} bytes: at most {MAX_METADATA:,}"
            )
    if not sum(lengths):
        raise BitstreamError("empty metadata: such a file has version 1")
    start, end = end, end + sum(lengths) + _CRC.size
    _need(data, end, "the metadata")
    body = _verified(data[start:end], "metadata")
    return Metadata(body[: lengths[0]], body[lengths[0] :]), end


def _read_payloads(data: bytes, start: int, entries: Iterable[tuple[int, int]]) -> list[bytes]:
    """Payloads from byte `start` on, given the length and the CRC of each payload."""
    lengths, checksums = zip(*entries, strict=True)
    bounds = list(accumulate(lengths, initial=start))
    _need(data, bounds[-1], "all tiles")
    if len(data) > bounds[-1]:
        raise BitstreamError(f"{len(data) - bounds[-1]} bytes after the end of the image")
    payloads = [data[begin:end] for begin, end in pairwise(bounds)]
    for number, (payload, checksum) in enumerate(zip(payloads, checksums, strict=True), start=1):
        if crc32(payload) != checksum:
            raise BitstreamError(f"damaged tile {number} of {len(payloads)}")
    return payloads


def _need(data: bytes, size: int, what: str) -> None:
    if len(data) < size:
        raise BitstreamError(f"truncated: {len(data)} bytes, but {size} are needed for {what}")


def _checked(part: bytes) -> bytes:
    return part + _CRC.pack(crc32(part))


def _verified(part: bytes, name: str) -> bytes:
    """The part without the CRC at its end. Raises BitstreamError if the CRC is wrong."""
    body, checksum = part[: -_CRC.size], part[-_CRC.size :]
    if _CRC.pack(crc32(body)) != checksum:
        raise BitstreamError(f"damaged {name}")
    return body
