"""Coding of an image tile by tile, whatever runs the networks.

Entropy decoding depends on integers alone. A decoder with any float type, device or number of
threads therefore reads exactly the symbols that the encoder wrote. Besides the tiles that are being
coded, memory holds only the 8-bit image and its compressed tiles.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from space.architecture import HYPER_STRIDE, LATENT_STRIDE, Architecture
from space.bitstream import tiling
from space.bitstream.container import BitstreamError, Header
from space.entropy_coding.payload import PayloadReader, Symbols, TableLists, write_payload

LARGEST_SYMBOL = 2**15
"""Magnitude that symbols of a working model never reach."""
Pixels = NDArray[np.uint8]
T = TypeVar("T")
Progress = Callable[[Iterable[Any], int], Iterable[Any]]
"""Function that yields coded tiles, of which the number is given, and may display progress."""


def silent(tiles: Iterable[T], count: int) -> Iterable[T]:
    """Show no progress."""
    return tiles


@dataclass(frozen=True)
class TileSymbols:
    """The symbols of one tile of h x w px."""

    z: Symbols
    """Hyper-latent symbols [N, h/64, w/64]."""
    latent: Symbols
    """Latent symbols [M, h/16, w/16]."""


class AbstractTileCoder(ABC):
    """Codes single tiles at one quality, with a model's networks and entropy coder.

    Methods may be called from several threads at once.
    """

    def __init__(self, architecture: Architecture, tables: TableLists) -> None:
        self._architecture = architecture
        self._tables = tables

    @abstractmethod
    def analyse(self, pixels: Pixels) -> TileSymbols:
        """Run the encoder network on a tile [h, w, 3] whose sides are multiples of 64.

        Returns the tile's symbols. Raises ModelError if symbols are NaN or too large.
        """

    @abstractmethod
    def synthesise(self, symbols: TileSymbols) -> Pixels:
        """Run the decoder network on the symbols of a tile.

        Returns the decoded tile [h, w, 3]. Raises ModelError if it contains NaN or infinite values.
        """

    @abstractmethod
    def hyper_tables(self, shape: tuple[int, ...]) -> Symbols:
        """Table index of each hyper-latent symbol, for a hyper-latent of `shape` (N, h, w)."""

    @abstractmethod
    def latent_tables(self, z: Symbols) -> Symbols:
        """Table index [M, 4h, 4w] of each latent symbol, given hyper-latent symbols [N, h, w]."""

    def write(self, symbols: TileSymbols) -> bytes:
        """Entropy-code the symbols of a tile to a payload."""
        z_tables = self.hyper_tables(symbols.z.shape)
        tables = self.latent_tables(symbols.z)
        return write_payload(symbols.z, z_tables, symbols.latent, tables, self._tables)

    def read(self, payload: bytes, tile: tiling.Tile) -> TileSymbols:
        """Entropy-decode the symbols of `tile` from a payload that `write` made.

        Raises BitstreamError if the payload is longer than that of any such tile.
        """
        architecture = self._architecture
        height, width = tile.coded_height, tile.coded_width
        shape = (architecture.hyper_channels, height // HYPER_STRIDE, width // HYPER_STRIDE)
        z_tables = self.hyper_tables(shape)
        latent_symbols = architecture.latent_channels * height * width // LATENT_STRIDE**2
        try:
            reader = PayloadReader(payload, z_tables.size + latent_symbols, self._tables)
        except ValueError as error:
            raise BitstreamError(f"damaged tile ({error})") from error
        z = reader.hyper_latent(z_tables)
        return TileSymbols(z, reader.latent(self.latent_tables(z)))


def encode_tiles(
    pixels: Pixels, coder: AbstractTileCoder, threads: int = 1, progress: Progress = silent
) -> list[bytes]:
    """Payloads of all tiles of an image [H, W, 3], of which `threads` are coded at a time."""
    height, width, _ = pixels.shape

    def encode(tile: tiling.Tile) -> bytes:
        return coder.write(coder.analyse(tiling.cut(pixels, tile)))

    return list(_each(encode, tiling.grid(height, width), threads, progress))


def decode_tiles(
    header: Header,
    payloads: list[bytes],
    coder: AbstractTileCoder,
    threads: int = 1,
    progress: Progress = silent,
) -> Pixels:
    """The image [H, W, 3] of a file's payloads, of which `threads` are decoded at a time."""
    pixels = np.empty((header.height, header.width, 3), np.uint8)

    def decode(coded: tuple[tiling.Tile, bytes]) -> None:
        tile, payload = coded
        rows = slice(tile.top, tile.top + tile.height)
        columns = slice(tile.left, tile.left + tile.width)
        decoded = coder.synthesise(coder.read(payload, tile))
        pixels[rows, columns] = tiling.content(decoded, tile)

    tiles = list(zip(tiling.grid(header.height, header.width), payloads, strict=True))
    for _ in _each(decode, tiles, threads, progress):
        pass
    return pixels


def _each(
    task: Callable[[Any], T], items: list[Any], threads: int, progress: Progress
) -> Iterator[T]:
    """Results of a task for all items, in order. An error or an interruption ends them all."""
    if threads == 1 or len(items) == 1:
        yield from progress(map(task, items), len(items))
        return
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        try:
            yield from progress(pool.map(task, items), len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
