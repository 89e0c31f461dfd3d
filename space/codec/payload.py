"""Entropy coding of one tile's symbols: rANS with the tables that the scale path chose.

A payload is one rANS stream: hyper-latent symbols, flags and latent symbols, in this order. Nearly
all latent symbols of table 0 are zero. They are grouped into blocks, and each block has a flag. The
flag says whether the block holds a symbol other than zero; if not, its symbols are not coded. Most
of the latent therefore costs almost no bits and no time.
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

from space.codec.scales import SIGMA_MIN, TABLE_COUNT, table_sigmas

Symbols = NDArray[np.int32]

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


@dataclass(frozen=True)
class Tables:
    """The entropy coder's tables: cumulative frequencies of 16 bits, as stored with a model.

    Raises ValueError if there are not TABLE_COUNT tables, or if the frequencies of a table do not
    rise strictly from 0 to 2**16.
    """

    cdfs: torch.Tensor
    """Cumulative frequencies [TABLE_COUNT, longest] from 0 to 2**16, int32.

    The last interval of a table stands for all symbols outside the table. An escape code follows it
    and gives the symbol.
    """
    lengths: torch.Tensor
    """Number [TABLE_COUNT] of cumulative frequencies that each table uses, int32."""
    offsets: torch.Tensor
    """Symbol [TABLE_COUNT] that the first interval of each table stands for, int32."""

    def __post_init__(self) -> None:
        for cdf, length in zip(self.cdfs, self.lengths.tolist(), strict=True):
            used = cdf[: max(length, 0)]
            whole = 2 < length <= len(cdf) and used[[0, -1]].tolist() == [0, 2**16]
            if not (whole and (used.diff() > 0).all()):
                raise ValueError("a table is damaged: frequencies must rise from 0 to 65,536")
        if not len(self.cdfs) == len(self.offsets) == TABLE_COUNT:
            raise ValueError(
                f"{len(self.cdfs)} tables, {len(self.offsets)} offsets: expected {TABLE_COUNT} each"
            )

    @classmethod
    @cache
    def gaussian(cls) -> Tables:
        """The tables of zero-mean Gaussians whose standard deviations are `table_sigmas`."""
        model = GaussianConditional(table_sigmas().tolist(), scale_bound=SIGMA_MIN)
        model.update()
        return cls(model.quantized_cdf.int(), model.cdf_length.int(), model.offset.int())

    @cached_property
    def _entry_bits(self) -> torch.Tensor:
        return 16 - torch.log2(self.cdfs.diff(dim=1).clamp(min=1))

    def bits(self, symbols: torch.Tensor, tables: torch.Tensor) -> torch.Tensor:
        """Number of bits that each symbol costs with its table.

        `symbols` and the table indexes `tables` are int64 tensors of equal shape.
        """
        last = self.lengths.long()[tables] - 2
        place = symbols - self.offsets.long()[tables]
        # The coder's escape is the last entry, then a count of four-bit digits and the digits.
        outside = (place < 0) | (place >= last)
        excess = torch.where(place < 0, -2 * place - 1, 2 * (place - last)).clamp(min=0)
        digits = sum((excess >= 16**n).long() for n in range(8))
        escape = torch.where(outside, 4 + 4 * digits, 0)
        return self._entry_bits[tables, torch.where(outside, last, place)] + escape

    def as_lists(self) -> tuple[list[list[int]], list[int], list[int]]:
        """`cdfs`, `lengths` and `offsets` as the lists that the entropy coder takes."""
        lengths = self.lengths.tolist()
        cdfs = [row[:n] for row, n in zip(self.cdfs.tolist(), lengths, strict=True)]
        return cdfs, lengths, self.offsets.tolist()


TableLists = tuple[Sequence[Sequence[int]], Sequence[int], Sequence[int]]


def write_payload(
    z: Symbols, z_tables: Symbols, symbols: Symbols, symbol_tables: Symbols, tables: TableLists
) -> bytes:
    """Encode hyper-latent symbols `z` and latent symbols `symbols` to a payload.

    `z_tables` and `symbol_tables` hold the table index of each symbol. `tables` is the result of
    `Tables.as_lists`.
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
        """`symbols` is the number of symbols. `write_payload` must have used the same `tables`."""
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
