import re
import struct
from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from space.bitstream.container import (
    MAX_METADATA,
    BitstreamError,
    Header,
    Metadata,
    check_model,
    read,
    write,
)
from space.bitstream.tiling import count

MODEL = bytes(range(8))
HEADER = Header(width=1200, height=700, quality_steps=350, model_id=MODEL)
PAYLOADS = [bytes([i]) * (20 + i) for i in range(6)]
FILE = write(HEADER, PAYLOADS)
HEADER_END = 27
TABLE_END = HEADER_END + 6 * 8 + 4


def with_header(
    version: int = 1, quality: int = 350, width: int = 1200, height: int = 700
) -> bytes:
    """The file with another valid header."""
    head = struct.pack("<4sBHII8s", b"PCDX", version, quality, width, height, MODEL)
    return head + struct.pack("<I", crc32(head)) + FILE[HEADER_END:]


def flipped(at: int) -> bytes:
    return FILE[:at] + bytes([FILE[at] ^ 0x10]) + FILE[at + 1 :]


@given(st.data(), st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 700))
def test_what_is_written_is_read(data: st.DataObject, width: int, height: int, steps: int) -> None:
    header = Header(width, height, steps, data.draw(st.binary(min_size=8, max_size=8)))
    tiles = count(height, width)
    payloads = data.draw(st.lists(st.binary(max_size=9), min_size=tiles, max_size=tiles))
    assert read(write(header, payloads)) == (header, payloads)


def test_the_largest_image() -> None:
    header = Header(65535, 4096, 700, MODEL)
    payloads = [b""] * count(4096, 65535)
    assert read(write(header, payloads)) == (header, payloads)


def test_the_layout() -> None:
    assert FILE[:23] == b"PCDX\x01" + struct.pack("<HII", 350, 1200, 700) + MODEL
    assert FILE[HEADER_END : HEADER_END + 8] == struct.pack("<II", 20, crc32(PAYLOADS[0]))
    assert FILE[TABLE_END:] == b"".join(PAYLOADS)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a compressed image: it begins with b''"),
        (b"PCD", "begins with b'PCD' instead of b'PCDX'"),
        (FILE[:4], "truncated: 4 bytes, but 5 are needed for the version"),
        (b"\x89PNG" + FILE[4:], r"begins with b'\x89PNG' instead of b'PCDX'"),
        (with_header(version=7), "format version 7, but only versions 1 and 2 can be read"),
        (FILE[:4] + b"\x03", "format version 3, but only versions 1 and 2 can be read"),
        (FILE[:26], "truncated: 26 bytes, but 27 are needed for the header"),
        (flipped(5), "damaged header"),
        (flipped(26), "damaged header"),
        (with_header(width=0), "impossible size 0x700: sides are 1 to 65535 pixels"),
        (with_header(height=65536), "impossible size 1200x65536"),
        (with_header(quality=701), "impossible quality 7.01: levels are 0 to 7"),
        (FILE[:78], "truncated: 78 bytes, but 79 are needed for the table of 6 tiles"),
        (
            with_header(width=65535, height=4097),
            "impossible size 65535x4097: at most 268,435,456 pixels",
        ),
        (with_header(width=65535, height=4096), "9463 are needed for the table of 1179 tiles"),
        (flipped(30), "damaged tile table"),
        (flipped(78), "damaged tile table"),
        (FILE[:-1], f"truncated: {len(FILE) - 1} bytes, but {len(FILE)} are needed for all tiles"),
        (FILE + b"abc", "3 bytes after the end of the image"),
        (flipped(TABLE_END), "damaged tile 1 of 6"),
        (flipped(TABLE_END + 20), "damaged tile 2 of 6"),
        (flipped(len(FILE) - 1), "damaged tile 6 of 6"),
    ],
)
def test_files_that_cannot_be_read(data: bytes, says: str) -> None:
    with pytest.raises(BitstreamError, match=re.escape(says)):
        read(data)


METADATA = Metadata(exif=b"II*\0" + bytes(range(200)), icc=b"profile" * 9)
KEPT = write(replace(HEADER, metadata=METADATA), PAYLOADS)
METADATA_END = TABLE_END + 12 + 204 + 63 + 4


class TestMetadata:
    """A section of version 2, between the tile table and the payloads."""

    @given(st.binary(max_size=99), st.binary(max_size=99))
    def test_what_is_written_is_read(self, exif: bytes, icc: bytes) -> None:
        header = replace(HEADER, metadata=Metadata(exif, icc))
        assert read(write(header, PAYLOADS)) == (header, PAYLOADS)

    def test_the_layout(self) -> None:
        assert KEPT[4] == 2
        body = METADATA.exif + METADATA.icc
        lengths = struct.pack("<II", 204, 63)
        section = lengths + struct.pack("<I", crc32(lengths)) + body
        assert KEPT[TABLE_END : METADATA_END - 4] == section
        assert KEPT[METADATA_END:] == FILE[TABLE_END:]

    def test_files_without_metadata_stay_as_they_were(self) -> None:
        assert write(replace(HEADER, metadata=Metadata()), PAYLOADS) == FILE
        assert FILE[4] == 1

    @pytest.mark.parametrize("part", ["exif", "icc"])
    def test_too_much_is_refused(self, part: str) -> None:
        Metadata(**{part: bytes(MAX_METADATA)})
        with pytest.raises(BitstreamError, match=r"of 4,194,305 bytes: at most 4,194,304"):
            Metadata(**{part: bytes(MAX_METADATA + 1)})

    @pytest.mark.parametrize(
        ("lengths", "says"),
        [
            ((2**32 - 1, 0), "impossible metadata of 4,294,967,295 bytes: at most 4,194,304"),
            ((4, MAX_METADATA + 1), "impossible metadata of 4,194,305 bytes"),
            ((MAX_METADATA, MAX_METADATA), "are needed for the metadata"),
            ((204, 62), "damaged metadata"),
            ((0, 0), "empty metadata: such a file has version 1"),
        ],
    )
    def test_forged_lengths(self, lengths: tuple[int, int], says: str) -> None:
        forged = struct.pack("<II", *lengths)
        forged += struct.pack("<I", crc32(forged))
        with pytest.raises(BitstreamError, match=re.escape(says)):
            read(KEPT[:TABLE_END] + forged + KEPT[TABLE_END + 12 :])

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (KEPT[: TABLE_END + 11], "are needed for the lengths of metadata"),
            (KEPT[: METADATA_END - 1], "are needed for the metadata"),
            (KEPT[:-1], "are needed for all tiles"),
            (KEPT + b"a", "1 bytes after the end"),
            (KEPT[:4] + b"\x01" + KEPT[5:], "damaged header"),
        ],
    )
    def test_truncated_and_extended_files(self, data: bytes, says: str) -> None:
        with pytest.raises(BitstreamError, match=re.escape(says)):
            read(data)

    @pytest.mark.parametrize("at", range(TABLE_END, METADATA_END, 7))
    def test_a_flipped_bit(self, at: int) -> None:
        damaged = KEPT[:at] + bytes([KEPT[at] ^ 0x10]) + KEPT[at + 1 :]
        with pytest.raises(BitstreamError, match=r"damaged (lengths of )?metadata"):
            read(damaged)


def test_another_model() -> None:
    check_model(HEADER, MODEL)
    with pytest.raises(BitstreamError, match=r"model 0001020304050607, .* model ffffffffffffffff"):
        check_model(HEADER, b"\xff" * 8)


@pytest.mark.parametrize(("width", "steps"), [(0, 0), (65536, 0), (1, -1), (1, 701)])
def test_impossible_headers(width: int, steps: int) -> None:
    with pytest.raises(BitstreamError, match="impossible"):
        Header(width, 1, steps, MODEL)


def flip_bit(data: bytearray, rng: np.random.Generator) -> None:
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)


def change_byte(data: bytearray, rng: np.random.Generator) -> None:
    data[rng.integers(len(data))] = rng.integers(256)


def truncate(data: bytearray, rng: np.random.Generator) -> None:
    del data[rng.integers(len(data)) :]


def insert(data: bytearray, rng: np.random.Generator) -> None:
    at = rng.integers(len(data) + 1)
    data[at:at] = rng.bytes(rng.integers(1, 9))


def delete(data: bytearray, rng: np.random.Generator) -> None:
    at = rng.integers(len(data))
    del data[at : at + rng.integers(1, 9)]


def swap(data: bytearray, rng: np.random.Generator) -> None:
    length = rng.integers(1, 9)
    i, j = np.sort(rng.integers(len(data) - 2 * length, size=2))
    j += length
    data[i : i + length], data[j : j + length] = data[j : j + length], data[i : i + length]


@pytest.mark.parametrize("file", [FILE, KEPT])
@pytest.mark.parametrize("mutate", [flip_bit, change_byte, truncate, insert, delete, swap])
def test_no_mutated_file_is_read(
    mutate: Callable[[bytearray, np.random.Generator], None], file: bytes
) -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(1000):
        data = bytearray(file)
        mutate(data, rng)
        if data != file:
            with pytest.raises(BitstreamError):
                read(bytes(data))
            rejected += 1
    assert rejected > 500
