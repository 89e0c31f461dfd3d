"""Quality of shorter tiles at edges, decoded by networks of whole tiles. Takes half a minute.

    OMP_NUM_THREADS=1 python benchmarks/edge_tiles.py

Exported packages take tiles of 512x512, while files contain shorter tiles at the right and lower
edges. Photographs are cut to 376x248, where only the margin of 4 px lies beyond the content. They
are coded with the largest architecture of `pico_small` as a slice of the shipped supernet. Prints
in Markdown the PSNR to the photograph in three cases, as means over seven photographs, and the
PSNR and largest difference between the first two:

- file: encoder and decoder run on the shorter tile, as in `python -m search encode` and `decode`;
- padded: the decoder runs on the same symbols, padded with zeros to a whole tile;
- cut: the encoder runs on a whole tile, and the decoder on those of its symbols that a file holds.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from spaces import load_space
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from search.data.images import read_rgb
from search.data.photographs import find_photographs
from search.report.markdown import markdown_table
from search.training.pretrain import SHIPPED_SUPERNET
from space.architecture import HYPER_STRIDE, LATENT_STRIDE, QUALITY_STEPS
from space.bitstream import tiling
from space.bitstream.model_file import Model
from space.codec.codec import level_weights
from space.codec.supernet import Supernet
from space.pixels import to_batch

HEIGHT, WIDTH = 248, 376
TILE = tiling.Tile(0, 0, HEIGHT, WIDTH)
QUALITIES = (1, 4, 7)


@torch.inference_mode()
def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    space = load_space("pico_small")
    supernet = Supernet.load(SHIPPED_SUPERNET)
    model = Model.of(supernet.start(space.architecture(space.size - 1)))
    photographs = [read_rgb(path).pixels for path in find_photographs(None)]
    rows = []
    for quality in QUALITIES:
        figures = [measured(model, quality, pixels) for pixels in photographs]
        *means, _ = np.mean(figures, axis=0)
        largest = max(row[-1] for row in figures)
        rows.append([quality, *(f"{mean:.3f}" for mean in means), f"{largest:.3f}"])
    headers = (
        "quality", "file dB", "padded dB", "cut dB", "padded to file dB", "largest difference",
    )  # fmt: skip
    print(markdown_table(headers, rows))


def measured(model: Model, quality: int, pixels: NDArray[np.uint8]) -> list[float]:
    """The columns after the quality, for one photograph [H, W, 3]."""
    pixels = pixels[:HEIGHT, :WIDTH]
    levels = level_weights(torch.tensor([quality * QUALITY_STEPS]))
    symbols, z = model.encoder(to_batch(tiling.cut(pixels, TILE)), levels)
    file = content(model.decoder(symbols, z, levels))
    sides = ((symbols, LATENT_STRIDE), (z, HYPER_STRIDE))
    whole = [padded(x, tiling.TILE // stride) for x, stride in sides]
    filled = content(model.decoder(*whole, levels))
    beyond = [np.arange(tiling.TILE) - tiling.MARGIN] * 2
    at = [i.clip(0, side - 1) for i, side in zip(beyond, pixels.shape[:2], strict=True)]
    latent, hyper = model.encoder(to_batch(pixels[np.ix_(*at)]), levels)
    parts = (
        latent[..., : symbols.shape[2], : symbols.shape[3]],
        hyper[..., : z.shape[2], : z.shape[3]],
    )
    cut = content(model.decoder(*parts, levels))
    photograph = to_batch(pixels)
    to_photograph = [psnr(x, photograph) for x in (file, filled, cut)]
    return [*to_photograph, psnr(filled, file), float((filled - file).abs().max())]


def padded(x: Tensor, side: int) -> Tensor:
    """A batch padded with zeros on the right and below, to squares of this side."""
    return F.pad(x, (0, side - x.shape[3], 0, side - x.shape[2]))


def content(decoded: Tensor) -> Tensor:
    """The part of a decoded tile inside its margin, of the photograph's size."""
    start = tiling.MARGIN
    return decoded[..., start : start + HEIGHT, start : start + WIDTH].clamp(0, 1)


def psnr(a: Tensor, b: Tensor) -> float:
    """PSNR in dB of images in [0, 1]."""
    return float(-10 * torch.log10((a - b).square().mean()))


if __name__ == "__main__":
    main()
