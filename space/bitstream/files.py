"""Coding of whole images to compressed files and back, with torch.

The networks run in the float type and on the device of a model, on one tile at a time.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from space.bitstream.container import Header, check_model, quality_steps, read, write
from space.bitstream.model_file import Model, ModelError
from space.bitstream.tile_coder import (
    LARGEST_SYMBOL,
    AbstractTileCoder,
    TileSymbols,
    decode_tiles,
    encode_tiles,
)
from space.codec.codec import level_weights
from space.entropy_coding.payload import Symbols
from space.pixels import to_batch, to_pixels


def encode(pixels: NDArray[np.uint8], model: Model, quality: float) -> bytes:
    """Encode an image [H, W, 3] to the bytes of a compressed file.

    The image's sides are 1 to 65,535 px, and it has at most 2^28 pixels. `quality`, from 0 to 7, is
    rounded to hundredths. Raises BitstreamError if the size or the quality is out of range, and
    ModelError if the model's symbols are NaN or too large.
    """
    height, width, _ = pixels.shape
    header = Header(width, height, quality_steps(quality), model.id)
    return write(header, encode_tiles(pixels, TileCoder(model, header.quality_steps)))


def decode(data: bytes, model: Model) -> NDArray[np.uint8]:
    """Decode the bytes of a compressed file to an image [H, W, 3].

    Raises BitstreamError if the data are damaged or were written by another model, and ModelError
    if the decoded image contains NaN or infinite values.
    """
    header, payloads = read(data)
    check_model(header, model.id)
    return decode_tiles(header, payloads, TileCoder(model, header.quality_steps))


class TileCoder(AbstractTileCoder):
    """Codes single tiles with torch."""

    def __init__(self, model: Model, quality_steps: int) -> None:
        """`quality_steps` is the quality level times QUALITY_STEPS."""
        super().__init__(model.architecture, model.tables.as_lists())
        self._model = model
        self._steps = torch.tensor([quality_steps])
        self._like = next(model.decoder.parameters())
        self._levels = level_weights(self._steps).to(self._like)

    @torch.inference_mode()
    def analyse(self, pixels: NDArray[np.uint8]) -> TileSymbols:
        """Run the encoder network, as `AbstractTileCoder.analyse` describes."""
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
        """Run the decoder network, as `AbstractTileCoder.synthesise` describes."""
        latent, z = (torch.from_numpy(x)[None].to(self._like) for x in (symbols.latent, symbols.z))
        image = self._model.decoder(latent, z, self._levels)[0].float()
        if not image.isfinite().all():
            raise ModelError("the decoded image contains NaN or infinite values")
        return to_pixels(image)

    def hyper_tables(self, shape: tuple[int, ...]) -> Symbols:
        """Table indexes, as `AbstractTileCoder.hyper_tables` describes."""
        tables = self._model.scales.hyper_tables(self._steps)[0]
        return tables.expand(shape).int().numpy()

    def latent_tables(self, z: Symbols) -> Symbols:
        """Table indexes, as `AbstractTileCoder.latent_tables` describes."""
        return self._model.scales(torch.from_numpy(z).long()[None], self._steps)[0].int().numpy()
