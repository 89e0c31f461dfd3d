"""Whether what was exported computes what the model does, on tiles of photographs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from search.images import read_rgb
from search.photographs import find_photographs
from space import tiling
from space.architecture import LEVELS, QUALITY_STEPS
from space.codec import level_weights
from space.model import Model

UNEQUAL_SYMBOLS = 1e-3
"""Largest share of symbols that may differ in float32. Other orders of summation round a value
halfway between two integers either way, and what the context predicts from it differs then too."""
PICTURE_DIFFERENCE = 1e-3
"""Largest difference of a sample in [0, 1] from equal symbols: a quarter of a step of 8 bits."""

Run = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
"""A network that was exported: outputs by name from inputs by name, all float32."""


@dataclass(frozen=True)
class Agreement:
    """Exported networks against a model's, over tiles of photographs from the lowest quality to the
    highest.
    """

    tiles: int
    symbols: int
    """Symbols of latent and hyper-latent, of all tiles."""
    unequal_symbols: int
    picture_difference: float
    """Largest difference of a sample in [0, 1], decoded from the same symbols; may be no number."""

    @property
    def close(self) -> bool:
        """Whether both differences are what float32 explains."""
        few = self.unequal_symbols <= UNEQUAL_SYMBOLS * self.symbols
        return few and self.picture_difference <= PICTURE_DIFFERENCE

    def __str__(self) -> str:
        share = 100 * self.unequal_symbols / self.symbols
        return f"{share:.2g} % of symbols differ, samples by at most {self.picture_difference:.1g}"


@torch.inference_mode()
def compare(model: Model, encoder: Run, decoder: Run) -> Agreement:
    """Run exported networks beside a model's own, which are in float32 and on the CPU."""
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
    """A copy whose weights are rounded to float16, as a package stores them, in float32."""
    return copy.deepcopy(model).to(torch.float16).to(torch.float32)


def _tiles() -> Iterator[tuple[Tensor, Tensor]]:
    """The middle [1, 3, TILE, TILE] of every other built-in photograph, at levels [1, LEVELS]."""
    photographs = find_photographs(None)[::2]
    steps = np.linspace(0, (LEVELS - 1) * QUALITY_STEPS, len(photographs)).astype(int)
    for path, quality_steps in zip(photographs, steps.tolist(), strict=True):
        pixels = read_rgb(path).pixels
        top, left = (max(0, (side - tiling.STRIDE) // 2) for side in pixels.shape[:2])
        tile = tiling.cut(pixels, tiling.Tile(top, left, tiling.STRIDE, tiling.STRIDE))
        image = torch.from_numpy(tile)[None].permute(0, 3, 1, 2).float() / 255
        yield image.contiguous(), level_weights(torch.tensor([quality_steps]))
