"""Coding of whole images to compressed files and back, tile by tile.

Entropy decoding depends on integers alone. A decoder with any float type, device or number of
threads therefore reads exactly the symbols that the encoder wrote. Networks run on one tile at a
time. Besides that tile, memory holds only the 8-bit image and its compressed tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from space.architecture import HYPER_STRIDE, LATENT_STRIDE
from space.bitstream import tiling
from space.bitstream.container import Header, check_model, quality_steps, read, write
from space.bitstream.model_file import Model, ModelError
from space.codec.codec import level_weights
from space.codec.payload import PayloadReader, Symbols, write_payload
from space.pixels import to_batch, to_pixels

LARGEST_SYMBOL = 2**15
"""Magnitude that symbols of a working model never reach."""

T = TypeVar("T")
TileProgress = Callable[[list[T]], Iterable[T]]
"""Function that yields the items of a list and may display progress meanwhile."""


@dataclass(frozen=True)
class TileSymbols:
    """The symbols of one tile of h x w px."""

    z: Symbols
    """Hyper-latent symbols [N, h/64, w/64]."""
    latent: Symbols
    """Latent symbols [M, h/16, w/16]."""


def encode(
    pixels: NDArray[np.uint8],
    model: Model,
    quality: float,
    progress: TileProgress[tiling.Tile] = iter,
) -> bytes:
    """Encode an image [H, W, 3] to the bytes of a compressed file.

    The image's sides are 1 to 65,535 px, and it has at most 2^28 pixels. `quality`, from 0 to 7, is
    rounded to hundredths. Raises BitstreamError if the size or the quality is out of range, and
    ModelError if the model's symbols are NaN or too large.
    """
    height, width, _ = pixels.shape
    header = Header(width, height, quality_steps(quality), model.id)
    coder = TileCoder(model, header.quality_steps)
    tiles = progress(tiling.grid(height, width))
    return write(header, [coder.write(coder.analyse(tiling.cut(pixels, tile))) for tile in tiles])


def decode(
    data: bytes, model: Model, progress: TileProgress[tuple[tiling.Tile, bytes]] = iter
) -> NDArray[np.uint8]:
    """Decode the bytes of a compressed file to an image [H, W, 3].

    Raises BitstreamError if the data are damaged or were written by another model, and ModelError
    if the decoded image contains NaN or infinite values.
    """
    header, payloads = read(data)
    check_model(header, model.id)
    coder = TileCoder(model, header.quality_steps)
    pixels = np.empty((header.height, header.width, 3), np.uint8)
    tiles = tiling.grid(header.height, header.width)
    for tile, payload in progress(list(zip(tiles, payloads, strict=True))):
        decoded = coder.synthesise(coder.read(payload, tile))
        rows = slice(tile.top, tile.top + tile.height)
        columns = slice(tile.left, tile.left + tile.width)
        pixels[rows, columns] = tiling.content(decoded, tile)
    return pixels


class TileCoder:
    """Codes single tiles at one quality, with a model's networks and entropy coder."""

    def __init__(self, model: Model, quality_steps: int) -> None:
        """`quality_steps` is the quality level times QUALITY_STEPS."""
        self._model = model
        self._steps = torch.tensor([quality_steps])
        self._tables = model.tables.as_lists()
        self._like = next(model.decoder.parameters())
        self._levels = level_weights(self._steps).to(self._like)

    @torch.inference_mode()
    def analyse(self, pixels: NDArray[np.uint8]) -> TileSymbols:
        """Run the encoder network on a tile [h, w, 3] whose sides are multiples of 64.

        Returns the tile's symbols. Raises ModelError if symbols are NaN or too large.
        """
        image = to_batch(pixels, self._like.device, self._like.dtype)
        latent, z = self._model.encoder(image, self._levels)
        for symbols in (latent, z):
            if not (symbols.abs() < LARGEST_SYMBOL).all():
                raise ModelError(
                    f"the model's symbols are NaN or too large: "
                    f"their magnitude must be below {LARGEST_SYMBOL:,}"
                )
        return TileSymbols(*(x[0].to("cpu", torch.int32).numpy() for x in (z, latent)))

    @torch.inference_mode()
    def synthesise(self, symbols: TileSymbols) -> NDArray[np.uint8]:
        """Run the decoder network on the symbols of a tile.

        Returns the decoded tile [h, w, 3]. Raises ModelError if it contains NaN or infinite values.
        """
        latent, z = (torch.from_numpy(x)[None].to(self._like) for x in (symbols.latent, symbols.z))
        image = self._model.decoder(latent, z, self._levels)[0].float()
        if not image.isfinite().all():
            raise ModelError("the decoded image contains NaN or infinite values")
        return to_pixels(image)

    def write(self, symbols: TileSymbols) -> bytes:
        """Entropy-code the symbols of a tile to a payload."""
        z_tables = self.hyper_tables(symbols.z.shape)
        tables = self.latent_tables(symbols.z)
        return write_payload(symbols.z, z_tables, symbols.latent, tables, self._tables)

    def read(self, payload: bytes, tile: tiling.Tile) -> TileSymbols:
        """Entropy-decode the symbols of `tile` from a payload that `write` made."""
        architecture = self._model.architecture
        height, width = tile.coded_height, tile.coded_width
        shape = (architecture.hyper_channels, height // HYPER_STRIDE, width // HYPER_STRIDE)
        z_tables = self.hyper_tables(shape)
        latent_symbols = architecture.latent_channels * height * width // LATENT_STRIDE**2
        reader = PayloadReader(payload, z_tables.size + latent_symbols, self._tables)
        z = reader.hyper_latent(z_tables)
        return TileSymbols(z, reader.latent(self.latent_tables(z)))

    def hyper_tables(self, shape: tuple[int, ...]) -> Symbols:
        """Table index of each hyper-latent symbol, for a hyper-latent of `shape` (N, h, w)."""
        tables = self._model.scales.hyper_tables(self._steps)[0]
        return tables.expand(shape).int().numpy()

    def latent_tables(self, z: Symbols) -> Symbols:
        """Table index [M, 4h, 4w] of each latent symbol, given hyper-latent symbols [N, h, w]."""
        return self._model.scales(torch.from_numpy(z).long()[None], self._steps)[0].int().numpy()
