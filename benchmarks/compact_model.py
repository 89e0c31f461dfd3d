"""Loss of quality in a compact model: weights of 8 bits against half precision.

    python benchmarks/compact_model.py search/shipped_codec/model.safetensors --photo FILE ...

Prints a table in Markdown for the results. The first row is the model as it is, and the others are
compact models: with residual branches and the convolutions over decoded groups in 8 bits, as
supernets are stored (`int8.WIDE`), and with the whole context model, as `Model.compact` does
(`int8.COMPACT`). Each photograph is cropped to one tile in its middle. BD-rates are those of mean
curves over qualities 0 to 7, from real files.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import torch

from search.data.images import read_rgb
from search.metrics import find_metric
from search.metrics.rate_distortion import PhotographCurves, bd_rate_over_photographs
from search.report.markdown import markdown_table
from space.architecture import LEVELS
from space.bitstream import model_file, tiling
from space.bitstream.model_file import Model
from space.bitstream.tile_coder import Pixels
from space.codec import int8
from space.pixels import to_batch
from space.runtime.files import RuntimeModel, decode, encode

METRICS = ("psnr", "ssimulacra2")
SIDE = tiling.STRIDE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--photo", type=Path, nargs="+", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = Model.load(arguments.model)
    photos = [middle(read_rgb(path).pixels) for path in arguments.photo]
    rows, first = [], None
    with TemporaryDirectory() as folder:
        for name, parts in (("as it is", None), ("WIDE", int8.WIDE), ("COMPACT", int8.COMPACT)):
            path = Path(folder) / name
            with patch.object(model_file, "COMPACT", parts):
                (model if parts is None else model.compact()).save(path)
            found = curves(RuntimeModel.load(path), photos)
            first = first or found
            rows.append([name, f"{path.stat().st_size / 1e6:.2f}", *cells(first, found)])
    headers = ["8 bits", "MB", "bpp", "PSNR (dB)", "SSIMULACRA2", "BD-rate, PSNR", "SSIMULACRA2"]
    print(markdown_table(headers, rows))


def middle(pixels: Pixels) -> Pixels:
    top, left = ((side - SIDE) // 2 for side in pixels.shape[:2])
    return pixels[max(top, 0) :, max(left, 0) :][:SIDE, :SIDE]


def curves(model: RuntimeModel, photos: list[Pixels]) -> PhotographCurves:
    """Rates and scores [photographs, quality levels]."""
    found: dict[str, list[list[float]]] = {name: [] for name in ("bpp", *METRICS)}
    for photo in photos:
        files = [encode(photo, model, quality) for quality in range(LEVELS)]
        found["bpp"].append([8 * len(data) / (photo.shape[0] * photo.shape[1]) for data in files])
        decoded = [to_batch(decode(data, model)[0]) for data in files]
        for name in METRICS:
            metric = find_metric(name)
            found[name].append([metric(to_batch(photo), image).item() for image in decoded])
    return {name: np.array(values) for name, values in found.items()}


def cells(first: PhotographCurves, found: PhotographCurves) -> list[str]:
    """Means at quality 4, and BD-rates against `first`."""
    means = [f"{found[name][:, 4].mean():.3f}" for name in ("bpp", *METRICS)]
    if found is first:
        return [*means, "", ""]
    rates = (bd_rate_over_photographs(first, found, name) for name in METRICS)
    return [*means, *(f"{r.percent:+.2f} % ({r.low:+.2f} to {r.high:+.2f})" for r in rates)]


if __name__ == "__main__":
    main()
