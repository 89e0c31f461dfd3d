"""A model's networks as ONNX files, and whether ONNX Runtime computes what torch does.

What ONNX needs is optional (`pip install 'codec-search[export]'`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latency_predictor.coreml import silence
from search.images import read_rgb
from search.photographs import find_photographs
from space import tiling
from space.architecture import LEVELS, QUALITY_STEPS
from space.codec import level_weights
from space.model import Model

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
UNEQUAL_SYMBOLS = 1e-3
"""Largest share of symbols that may differ. Both compute in float32 and sum in other orders, so a
value halfway between two integers may round either way, and what the context predicts from it is
then another value."""
PICTURE_DIFFERENCE = 1e-3
"""Largest difference of a sample in [0, 1] from equal symbols: a quarter of a step of 8 bits."""


@dataclass(frozen=True)
class Agreement:
    """ONNX Runtime against torch, both in float32, over tiles of photographs at many qualities."""

    tiles: int
    symbols: int
    """Symbols of latent and hyper-latent, of all tiles."""
    unequal_symbols: int
    picture_difference: float
    """Largest difference of a sample in [0, 1], decoded from the same symbols."""

    @property
    def holds(self) -> bool:
        """Whether both differences are within what rounding explains."""
        few = self.unequal_symbols <= UNEQUAL_SYMBOLS * self.symbols
        return few and self.picture_difference <= PICTURE_DIFFERENCE


def missing() -> list[str]:
    """Packages that ONNX needs and that are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


def write_onnx(
    network: nn.Module, inputs: Mapping[str, Sequence[int]], outputs: Sequence[str], path: Path
) -> None:
    """Write a network, in inference form, as one file of fixed shapes in float32."""
    examples = tuple(torch.zeros(tuple(shape)) for shape in inputs.values())
    with silence():
        program = torch.onnx.export(
            network, examples, dynamo=True, verbose=False,
            input_names=list(inputs), output_names=list(outputs),
        )  # fmt: skip
        assert program is not None
        for node in program.model.graph:
            # Stack traces with the paths of whoever exported.
            node.metadata_props.clear()
        program.save(path, external_data=False)


@torch.inference_mode()
def compare(model: Model, encoder: Path, decoder: Path) -> Agreement:
    """Run both files beside a model's own networks, float32 and on the CPU, on built-in tiles."""
    encodes, decodes = _session(encoder), _session(decoder)
    tiles = list(_tiles())
    unequal = symbols = 0
    difference = 0.0
    for image, levels in tiles:
        latent, z = model.encoder(image, levels)
        found = _run(encodes, image=image, levels=levels)
        for ours, theirs in zip((latent, z), found, strict=True):
            symbols += ours.numel()
            unequal += int((ours.numpy() != theirs).sum())
        (picture,) = _run(decodes, symbols=latent, z=z, levels=levels)
        ours = model.decoder(latent, z, levels).numpy()
        difference = max(difference, float(np.abs(ours - picture).max()))
    return Agreement(len(tiles), symbols, unequal, difference)


def _tiles() -> Iterator[tuple[Tensor, Tensor]]:
    """The middle [1, 3, TILE, TILE] of every built-in photograph, at levels [1, LEVELS].

    The qualities spread from the lowest to the highest.
    """
    photographs = find_photographs(None)
    steps = np.linspace(0, (LEVELS - 1) * QUALITY_STEPS, len(photographs)).astype(int)
    for path, quality_steps in zip(photographs, steps.tolist(), strict=True):
        pixels = read_rgb(path).pixels
        top, left = (max(0, (side - tiling.STRIDE) // 2) for side in pixels.shape[:2])
        tile = tiling.cut(pixels, tiling.Tile(top, left, tiling.STRIDE, tiling.STRIDE))
        image = torch.from_numpy(tile)[None].permute(0, 3, 1, 2).float() / 255
        yield image.contiguous(), level_weights(torch.tensor([quality_steps]))


def _session(path: Path) -> InferenceSession:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _run(session: InferenceSession, **given: Tensor) -> list[NDArray[np.float32]]:
    """The outputs of a network, in order, from its inputs by name."""
    found: list[NDArray[np.float32]] = session.run(
        None, {name: value.numpy() for name, value in given.items()}
    )
    return found
