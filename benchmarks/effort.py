"""What each level of `encode --effort` costs and gains, from real files of the shipped model.

    python benchmarks/effort.py PHOTOS [--photographs 6] [--side 384]

The central square of each photograph is coded at five quality levels. BD-rates are against effort
0, and times are processor times on one thread. The tables are in `effort.md`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.progress import track

from search.cli.models import SHIPPED_MODEL, load_model
from search.data.images import read_rgb
from search.data.photographs import find_photographs
from search.encoding import EFFORT_STEPS, effort_of
from search.metrics import find_metric
from search.metrics.rate_distortion import bd_rate_percent
from search.report.markdown import markdown_table
from space.bitstream import files
from space.bitstream.model_file import Model
from space.pixels import to_batch

QUALITIES = (0.0, 2.0, 4.0, 6.0, 7.0)
METRICS = ("ssimulacra2", "ms_ssim", "psnr")


def central(path: Path, side: int) -> NDArray[np.uint8]:
    """The central square [side, side, 3] of a photograph."""
    pixels = read_rgb(path).pixels
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def measured(model: Model, pixels: NDArray[np.uint8], quality: float, level: int) -> pd.Series:
    """Seconds to encode, bpp and metrics of one file."""
    started_s = time.process_time()
    data = files.encode(pixels, model, quality, effort=effort_of(level))
    row = {"s": time.process_time() - started_s, "bpp": 8 * len(data) / pixels[..., 0].size}
    pair = to_batch(pixels), to_batch(files.decode(data, model))
    for name in METRICS:
        metric = find_metric(name)
        row[name] = metric.quality(metric(*pair).item())
    return pd.Series(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--photographs", type=int, default=6)
    parser.add_argument("--side", type=int, default=384)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(SHIPPED_MODEL)
    paths = sorted(find_photographs(options.photos))
    squares = [central(path, options.side) for path in paths[:: len(paths) // options.photographs]]
    squares = squares[: options.photographs]
    curves = {
        level: pd.DataFrame(
            pd.DataFrame(measured(model, pixels, quality, level) for pixels in squares).mean()
            for quality in QUALITIES
        )
        for level in track(range(len(EFFORT_STEPS)), "Encoding")
    }
    plain = curves[0].to_dict("list")
    rows = []
    for level, curve in curves.items():
        changes = [bd_rate_percent(plain, curve.to_dict("list"), name) for name in METRICS]
        gains = [f"{change:+.1f} %" for change in changes]
        seconds = curve["s"].mean() / (options.side**2 / 1e6)
        rows.append([level, EFFORT_STEPS[level], f"{seconds:.1f} s", *gains])
    columns = ["effort", "steps", "CPU time per megapixel", *METRICS]
    print(markdown_table(columns, rows))


if __name__ == "__main__":
    main()
