"""Shorter tiles at an image's edges, decoded by networks of whole tiles. Takes half a minute.

    OMP_NUM_THREADS=1 python benchmarks/edge_tiles.py

Exported packages take tiles of 512x512; files hold shorter ones at the right and lower edges.
Photographs are cut to 376x248, where just the margin of 4 px lies beyond the content, and coded
with the largest architecture of `pico_small` as a slice of the shipped supernet. Prints, in
Markdown, PSNR to the photograph of three ways, means over seven, and how far the second is from the
first:

- file: encoder and decoder run on the shorter tile, as `python -m search encode` and `decode` do;
- padded: the same symbols, filled up with zeros to a whole tile, through the decoder;
- cut: the encoder runs on a whole tile, the decoder on the part of its symbols that a file holds.
"""

from __future__ import annotations

import numpy as np
import torch
import yaml
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from search.config.schema import CONFIGS
from search.data.images import read_rgb
from search.data.photographs import find_photographs
from search.training.pretrain import SHIPPED_SUPERNET
from space.architecture import HYPER_STRIDE, LATENT_STRIDE, QUALITY_STEPS
from space.bitstream import tiling
from space.bitstream.model_file import Model
from space.codec.codec import level_weights
from space.codec.supernet import Supernet
from space.search_space import SearchSpace

HEIGHT, WIDTH = 248, 376
TILE = tiling.Tile(0, 0, HEIGHT, WIDTH)
QUALITIES = (1, 4, 7)


@torch.inference_mode()
def main() -> None:
    config = yaml.safe_load((CONFIGS / "space/pico_small.yaml").read_text())
    space = SearchSpace.from_config(config)
    supernet = Supernet.load(SHIPPED_SUPERNET)
    model = Model.of(supernet.start(space.architecture(space.size - 1)))
    print("| quality | file dB | padded dB | cut dB | padded to file dB | largest difference |")
    print("|---|---|---|---|---|---|")
    for quality in QUALITIES:
        rows = [measured(model, quality, read_rgb(path).pixels) for path in find_photographs(None)]
        *means, _ = np.mean(rows, axis=0)
        largest = max(row[-1] for row in rows)
        print(f"| {quality} | {' | '.join(f'{mean:.3f}' for mean in means)} | {largest:.3f} |")


def measured(model: Model, quality: int, pixels: np.ndarray) -> list[float]:
    """The columns of one photograph [H, W, 3]."""
    pixels = pixels[:HEIGHT, :WIDTH]
    levels = level_weights(torch.tensor([quality * QUALITY_STEPS]))
    symbols, z = model.encoder(as_input(tiling.cut(pixels, TILE)), levels)
    file = content(model.decoder(symbols, z, levels))
    sides = ((symbols, LATENT_STRIDE), (z, HYPER_STRIDE))
    whole = [padded(x, tiling.TILE // stride) for x, stride in sides]
    filled = content(model.decoder(*whole, levels))
    beyond = [np.arange(tiling.TILE) - tiling.MARGIN] * 2
    at = [i.clip(0, side - 1) for i, side in zip(beyond, pixels.shape[:2], strict=True)]
    latent, hyper = model.encoder(as_input(pixels[np.ix_(*at)]), levels)
    parts = (
        latent[..., : symbols.shape[2], : symbols.shape[3]],
        hyper[..., : z.shape[2], : z.shape[3]],
    )
    cut = content(model.decoder(*parts, levels))
    photograph = as_input(pixels)
    to_photograph = [psnr(x, photograph) for x in (file, filled, cut)]
    return [*to_photograph, psnr(filled, file), float((filled - file).abs().max())]


def as_input(pixels: np.ndarray) -> Tensor:
    return torch.tensor(pixels)[None].permute(0, 3, 1, 2).float() / 255


def padded(x: Tensor, side: int) -> Tensor:
    return F.pad(x, (0, side - x.shape[3], 0, side - x.shape[2]))


def content(decoded: Tensor) -> Tensor:
    start = tiling.MARGIN
    return decoded[..., start : start + HEIGHT, start : start + WIDTH].clamp(0, 1)


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


if __name__ == "__main__":
    main()
