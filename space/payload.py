"""One tile's symbols as bytes, and back: rANS over the tables that the scale path chose.

A payload is one rANS stream: the hyper-latent, flags, the latent. Nearly all symbols of table 0 are
zero, so they go in blocks, and a flag says which blocks hold anything: most of the latent costs
next to no bits and no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from compressai.ans import BufferedRansEncoder, RansDecoder
from compressai.entropy_models import GaussianConditional
from numpy.typing import NDArray

from space.scales import SIGMA_MIN, TABLES, table_sigmas

Symbols = NDArray[np.int32]

BLOCK = 64
"""Symbols of table 0 under one flag, in the order of the latent."""
FLAG_TABLE = 10
"""Table of the flags, of sigma 0.26: a 1 costs 5 bits and a 0 costs 0.08."""
FLAGGED_TABLE = 6
"""Table of the symbols of a block that holds something, of sigma 0.21, where one in 50 does."""


@dataclass(frozen=True)
class Tables:
    """Cumulative frequencies of 16 bits, as stored with a model.

    Raises ValueError for others, which the entropy coder would divide by zero with.
    """

    cdfs: torch.Tensor
    """Frequencies [TABLES, longest] int32, 0 to 2**16; values beyond a table cost more bits."""
    lengths: torch.Tensor
    """Entries [TABLES] of each table, int32."""
    offsets: torch.Tensor
    """Value [TABLES] that the first entry of each table stands for, int32."""

    def __post_init__(self) -> None:
        for cdf, length in zip(self.cdfs, self.lengths.tolist(), strict=True):
            used = cdf[: max(length, 0)]
            whole = 2 < length <= len(cdf) and used[[0, -1]].tolist() == [0, 2**16]
            if not (whole and (used.diff() > 0).all()):
                raise ValueError("a table is no distribution of 16 bits")
        if not len(self.cdfs) == len(self.offsets) == TABLES:
            raise ValueError(f"expected {TABLES} tables")

    @classmethod
    @cache
    def gaussian(cls) -> Tables:
        """Those of zero-mean Gaussians at `scales.table_sigmas`."""
        model = GaussianConditional(table_sigmas().tolist(), scale_bound=SIGMA_MIN)
        model.update()
        return cls(model.quantized_cdf.int(), model.cdf_length.int(), model.offset.int())

    @cached_property
    def _entry_bits(self) -> torch.Tensor:
        return 16 - torch.log2(self.cdfs.diff(dim=1).clamp(min=1))

    def bits(self, symbols: torch.Tensor, tables: torch.Tensor) -> torch.Tensor:
        """What each of `symbols` costs with its table, both int64 of one shape."""
        last = self.lengths.long()[tables] - 2
        place = symbols - self.offsets.long()[tables]
        # The coder's escape: the last entry, then a count of four-bit digits and the digits.
        outside = (place < 0) | (place >= last)
        excess = torch.where(place < 0, -2 * place - 1, 2 * (place - last)).clamp(min=0)
        digits = sum((excess >= 16**n).long() for n in range(8))
        escape = torch.where(outside, 4 + 4 * digits, 0)
        return self._entry_bits[tables, torch.where(outside, last, place)] + escape

    def as_lists(self) -> tuple[list[list[int]], list[int], list[int]]:
        """The three as the entropy coder takes them."""
        lengths = self.lengths.tolist()
        cdfs = [row[:n] for row, n in zip(self.cdfs.tolist(), lengths, strict=True)]
        return cdfs, lengths, self.offsets.tolist()


TableLists = tuple[Sequence[Sequence[int]], Sequence[int], Sequence[int]]


def write_payload(
    z: Symbols, z_tables: Symbols, symbols: Symbols, symbol_tables: Symbols, tables: TableLists
) -> bytes:
    """Bytes of hyper-latent symbols and latent symbols, each with the table of every symbol."""
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
    """Reads a payload in the order that a decoder can: hyper-latent, then latent."""

    def __init__(self, payload: bytes, symbols: int, tables: TableLists) -> None:
        """`symbols` are all that it holds; `tables` are those that it was written with."""
        self._tables = tables
        self._decoder = RansDecoder()
        # The coder does not check for its end, and a forged stream makes it read past it: at most
        # four bytes per symbol or flag, and for values beyond a table 15 times what announces them.
        self._decoder.set_stream(payload + bytes(8 * symbols + 16 * len(payload)))

    def hyper_latent(self, z_tables: Symbols) -> Symbols:
        """Hyper-latent symbols, of the shape of `z_tables`."""
        return self._decode(z_tables.ravel()).reshape(z_tables.shape)

    def latent(self, symbol_tables: Symbols) -> Symbols:
        """Latent symbols, of the shape of `symbol_tables`."""
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
    """Blocks [n, BLOCK] of `x`, the last one filled with zeros."""
    return np.pad(x, (0, -len(x) % BLOCK)).reshape(-1, BLOCK)


def _coded(symbol_tables: Symbols, flags: Symbols) -> NDArray[np.bool_]:
    """Which symbols are coded one by one."""
    coded = symbol_tables > 0
    coded[~coded] = flags.repeat(BLOCK)[: np.count_nonzero(~coded)] != 0
    return coded


def _tables_of(coded: Symbols) -> Symbols:
    """Tables that symbols are coded with, of which those of table 0 are in a flagged block."""
    return np.where(coded == 0, FLAGGED_TABLE, coded)
