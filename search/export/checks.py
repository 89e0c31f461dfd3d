"""Check, on tiles of photographs, that exported networks compute the same as the model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from search.data.images import read_rgb
from search.data.photographs import find_photographs
from space.architecture import LEVELS, QUALITY_STEPS
from space.bitstream import tiling
from space.bitstream.model_file import Model
from space.codec.codec import level_weights
from space.pixels import to_batch

UNEQUAL_SYMBOLS = 1e-3
"""Largest fraction of symbols that may differ in float32. If an exported network sums in another
order than the model, a value halfway between two integers may be rounded to the other integer. This
also changes the predictions that the context model makes from the value."""
PICTURE_DIFFERENCE = 1e-3
"""Largest difference that a sample in [0, 1] may have if it is decoded from equal symbols. It is a
quarter of an 8-bit step."""

Run = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
"""An exported network: maps float32 inputs by name to float32 outputs by name."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of exported networks with the model's own networks.

    Both are run on tiles of photographs, the first at the lowest quality and the last at the
    highest.
    """

    tiles: int
    symbols: int
    """Number of symbols of the latent and the hyper-latent, summed over all tiles."""
    unequal_symbols: int
    picture_difference: float
    """Largest difference between two samples in [0, 1] that the exported decoder and the model's
    own decode from equal symbols. It may be NaN."""

    @property
    def close(self) -> bool:
        """Whether float32 rounding explains the unequal symbols and the picture difference."""
        few = self.unequal_symbols <= UNEQUAL_SYMBOLS * self.symbols
        return few and self.picture_difference <= PICTURE_DIFFERENCE

    def __str__(self) -> str:
        share = 100 * self.unequal_symbols / self.symbols
        return f"{share:.2g} % of symbols differ, samples by at most {self.picture_difference:.1g}"


@torch.inference_mode()
def compare(model: Model, encoder: Run, decoder: Run) -> Agreement:
    """Compare an exported encoder and decoder with those of a model.

    The model must be in float32 and on the CPU.
    """
    unequal = symbols = 0
    differences = []
    for image, levels in _tiles():
        latent, z = model.encoder(image, levels)
        found = encoder({"image": image, "levels": levels})
        for ours, theirs in ((latent, found["symbols"]), (z, found["z"])):
            symbols += ours.numel()
            unequal += int((ours != theirs).sum())
        picture = decoder({"symbols": latent, "z": z, "levels": levels})["image"]
        differences.append(float((model.decoder(latent, z, levels) - picture).abs().max()))
    return Agreement(len(differences), symbols, unequal, float(np.max(differences)))


def with_half_weights(model: Model) -> Model:
    """A float32 copy of a model, with weights rounded to float16 as a package stores them."""
    return copy.deepcopy(model).to(torch.float16).to(torch.float32)


def _tiles() -> Iterator[tuple[Tensor, Tensor]]:
    """Tiles [1, 3, TILE, TILE] from every other built-in photograph, with level weights."""
    photographs = find_photographs(None)[::2]
    steps = np.linspace(0, (LEVELS - 1) * QUALITY_STEPS, len(photographs)).astype(int)
    for path, quality_steps in zip(photographs, steps.tolist(), strict=True):
        pixels = read_rgb(path).pixels
        top, left = (max(0, (side - tiling.STRIDE) // 2) for side in pixels.shape[:2])
        tile = tiling.cut(pixels, tiling.Tile(top, left, tiling.STRIDE, tiling.STRIDE))
        yield to_batch(tile).contiguous(), level_weights(torch.tensor([quality_steps]))
