"""Entropy coding of one tile's symbols: rANS with the tables that the scale path chose.

A payload is one rANS stream: hyper-latent symbols, flags and latent symbols, in this order. Nearly
all latent symbols of table 0 are zero. They are grouped into blocks, and each block has a flag. The
flag says whether the block holds a symbol other than zero; if not, its symbols are not coded. Most
of the latent therefore costs almost no bits and no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space.entropy_coding.rans import BufferedRansEncoder, RansDecoder

Symbols = NDArray[np.int32]

TABLE_COUNT = 128
"""Number of tables that code symbols.

Each table is a zero-mean Gaussian, and the sigmas of the tables grow geometrically. Files would
be 1 % larger with 64 tables, because the cost of rare symbols changes steeply with sigma.
"""

SYMBOL_BYTES = 8
"""Upper bound of the bytes that a symbol takes on average, its block's flag included.

A symbol takes at most 16 bits in its table and 36 bits of an escape, and a flag does so once in
FLAG_BLOCK symbols.
"""
STREAM_BYTES = 32
"""Upper bound of the bytes of a payload without symbols: the coder's state and a flag."""
LARGEST_OFFSET = 2**16
"""Largest magnitude of a table's offset, since no table has more intervals.

It keeps escapes below 2**28, beyond which the entropy coder does not end.
"""

FLAG_BLOCK = 64
"""Number of latent symbols of table 0, taken in order, that share a flag."""
FLAG_TABLE = 10
"""Index of the table that codes the flags. Its sigma is 0.26.

A flag of 1 costs 5 bits and a flag of 0 costs 0.08 bits.
"""
FLAGGED_TABLE = 6
"""Index of the table that codes the symbols of a block whose flag is 1. Its sigma is 0.21.

About one in 50 of these symbols is not zero.
"""


TableLists = tuple[Sequence[Sequence[int]], Sequence[int], Sequence[int]]
"""Cumulative frequencies, lengths and offsets of all tables, as the entropy coder takes them."""


def check_tables(
    cdfs: NDArray[np.int32], lengths: NDArray[np.int32], offsets: NDArray[np.int32]
) -> None:
    """Raise ValueError if these are not TABLE_COUNT tables as `tables.Tables` describes."""
    for cdf, length in zip(cdfs, lengths.tolist(), strict=True):
        used = cdf[: max(length, 0)]
        whole = 2 < length <= len(cdf) and used[[0, -1]].tolist() == [0, 2**16]
        if not (whole and (np.diff(used) > 0).all()):
            raise ValueError("a table is damaged: frequencies must rise from 0 to 65,536")
    if not len(cdfs) == len(offsets) == TABLE_COUNT:
        raise ValueError(f"{len(cdfs)} tables, {len(offsets)} offsets: expected {TABLE_COUNT} each")
    if not ((offsets >= -LARGEST_OFFSET) & (offsets <= LARGEST_OFFSET)).all():
        raise ValueError(f"a table is damaged: offsets must be within {LARGEST_OFFSET:,}")


def table_lists(
    cdfs: NDArray[np.int32], lengths: NDArray[np.int32], offsets: NDArray[np.int32]
) -> TableLists:
    """The tables of a model, which `tables.Tables` describes, as the entropy coder takes them."""
    rows = [row[:n] for row, n in zip(cdfs.tolist(), lengths.tolist(), strict=True)]
    return rows, lengths.tolist(), offsets.tolist()


def write_payload(
    z: Symbols, z_tables: Symbols, symbols: Symbols, symbol_tables: Symbols, tables: TableLists
) -> bytes:
    """Encode hyper-latent symbols `z` and latent symbols `symbols` to a payload.

    `z_tables` and `symbol_tables` hold the table index of each symbol. `tables` is the result of
    `table_lists`.
    """
    z, z_tables, symbols, symbol_tables = (x.ravel() for x in (z, z_tables, symbols, symbol_tables))
    flags = _blocks(symbols[symbol_tables == 0]).any(axis=1).astype(np.int32)
    coded = _coded(symbol_tables, flags)
    encoder = BufferedRansEncoder()
    for values, indexes in (
        (z, z_tables),
        (flags, np.full_like(flags, FLAG_TABLE)),
        (symbols[coded], _tables_of(symbol_tables[coded])),
    ):
        encoder.encode_with_indexes(values.tolist(), indexes.tolist(), *tables)
    stream: bytes = encoder.flush()
    return stream


class PayloadReader:
    """Reads the symbols of a payload.

    Call `hyper_latent` before `latent`: the hyper-latent determines the tables of the latent.
    """

    def __init__(self, payload: bytes, symbols: int, tables: TableLists) -> None:
        """`symbols` is the number of symbols. `write_payload` must have used the same `tables`.

        Raises ValueError if the payload has more bytes than so many symbols can take.
        """
        most = SYMBOL_BYTES * symbols + STREAM_BYTES
        if len(payload) > most:
            raise ValueError(
                f"{len(payload):,} bytes, but {symbols:,} symbols take at most {most:,}"
            )
        self._tables = tables
        self._decoder = RansDecoder()
        # The coder does not check for the stream's end, and a forged stream makes it read on. The
        # padding covers four bytes per symbol or flag, and escapes 15 times as long as their count.
        self._decoder.set_stream(payload + bytes(8 * symbols + 16 * len(payload)))

    def hyper_latent(self, z_tables: Symbols) -> Symbols:
        """Read the hyper-latent symbols. The result has the shape of the table indexes."""
        return self._decode(z_tables.ravel()).reshape(z_tables.shape)

    def latent(self, symbol_tables: Symbols) -> Symbols:
        """Read the latent symbols. The result has the shape of the table indexes."""
        flat = symbol_tables.ravel()
        blocks = _blocks(flat[flat == 0])
        coded = _coded(flat, self._decode(np.full(len(blocks), FLAG_TABLE)))
        symbols = np.zeros(flat.shape, np.int32)
        symbols[coded] = self._decode(_tables_of(flat[coded]))
        return symbols.reshape(symbol_tables.shape)

    def _decode(self, indexes: NDArray[Any]) -> Symbols:
        values = self._decoder.decode_stream(indexes.tolist(), *self._tables)
        return np.array(values, np.int32)


def _blocks(x: Symbols) -> Symbols:
    """Blocks [n, FLAG_BLOCK] of `x`, the last one padded with zeros."""
    return np.pad(x, (0, -len(x) % FLAG_BLOCK)).reshape(-1, FLAG_BLOCK)


def _coded(symbol_tables: Symbols, flags: Symbols) -> NDArray[np.bool_]:
    """Mask of the symbols that are coded one by one."""
    coded = symbol_tables > 0
    coded[~coded] = flags.repeat(FLAG_BLOCK)[: np.count_nonzero(~coded)] != 0
    return coded


def _tables_of(coded: Symbols) -> Symbols:
    """Tables of the coded symbols. FLAGGED_TABLE replaces table 0, whose block is flagged."""
    return np.where(coded == 0, FLAGGED_TABLE, coded)
