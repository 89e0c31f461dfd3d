"""Worth of the tiling and the text term: errors at seams and inside text at equal rate.

    python benchmarks/terms.py WITHOUT WITH [WITH ...] --photos DIR --screens DIR

Each model is a folder that `promote` wrote; the first was trained without either term. Prints a
table in Markdown of two errors:

- The cross-tile error of photographs that are cut into several tiles. In windows of 32 px along
  every seam, it is the mean absolute difference per channel between the mean errors on both sides.
  An error that both tiles have in common shows no seam.
- The text error: the mean absolute error inside text, which PP-OCR finds in the originals.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search.data.images import ImageError, read_rgb
from search.data.photographs import find_photographs, split_photographs
from search.data.text_mask import TextDetector
from space.bitstream import files, tiling
from space.bitstream.model_file import Model

QUALITIES = (0.0, 2.0, 4.0, 6.0)
WINDOW = 32
SIDE = 760
"""Side in px of the middle of a picture, which is coded in four tiles."""
Error = NDArray[np.float32]
"""Decoded minus original [H, W, 3], of images in [0, 1]."""


def seams(error: Error) -> Iterator[float]:
    """Cross-tile error of each window along the seams."""
    for image in (error, error.transpose(1, 0, 2)):
        for row in range(tiling.STRIDE, image.shape[0] - WINDOW + 1, tiling.STRIDE):
            width = image.shape[1] // WINDOW * WINDOW
            above, below = (
                image[at : at + WINDOW, :width].reshape(WINDOW, -1, WINDOW, 3).mean(axis=(0, 2))
                for at in (row - WINDOW, row)
            )
            yield float(np.abs(above - below).mean())


def held_out(folder: str) -> list[Path]:
    """Pictures of a folder on which `promote` did not train."""
    by_hash = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in find_photographs(folder)}
    parts = split_photographs(by_hash)
    return sorted(by_hash[content] for content in (*parts.select, *parts.report))


def pictures(paths: list[Path]) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """The paths that can be read, with the middles [SIDE, SIDE, 3] of their pictures."""
    for path in paths:
        try:
            pixels = read_rgb(path).pixels
        except ImageError as error:
            print(f"- skipped: {error}")
            continue
        top, left = (max(0, length - SIDE) // 2 for length in pixels.shape[:2])
        yield path, np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE])


def rows(folder: Path, photos: list[Path], screens: list[Path]) -> Iterator[dict[str, object]]:
    """Errors of a model, a row per picture and quality."""
    model, detector = Model.load(folder), TextDetector()
    for kind, paths in (("seam", photos), ("text", screens)):
        for path, pixels in pictures(paths):
            mask = detector.mask(pixels) if kind == "text" else None
            if mask is not None and not mask.any():
                continue
            for quality in QUALITIES:
                data = files.encode(pixels, model, quality)
                error = (files.decode(data, model).astype(np.float32) - pixels) / 255
                value = np.mean(list(seams(error))) if mask is None else np.abs(error)[mask].mean()
                yield {
                    "model": folder.name, "kind": kind, "picture": path.name, "quality": quality,
                    "bpp": 8 * len(data) / pixels[..., 0].size, "error": float(value),
                    "psnr": -10 * np.log10(np.square(error).mean()),
                }  # fmt: skip


def at_same_rates(base: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Rows `base` of one model on a picture, with the figures of the rows `own` of another model.

    They are interpolated linearly over log rate. Rates outside those of `own` are left out.
    """
    base, own = base.sort_values("bpp"), own.sort_values("bpp")
    base = base[base["bpp"].between(own["bpp"].min(), own["bpp"].max())]
    figures = {
        name: np.interp(np.log(base["bpp"]), np.log(own["bpp"]), own[name])
        for name in ("error", "psnr")
    }
    return base.assign(other_error=figures["error"], other_psnr=figures["psnr"])


def compared(table: pd.DataFrame, without: str) -> pd.DataFrame:
    """Mean errors of each model at the rates of the model `without`, and their ratios."""
    lines = []
    base = dict(iter(table[table["model"] == without].groupby(["kind", "picture"])))
    for (kind, model), part in table.groupby(["kind", "model"], sort=False):
        pictures = part.groupby("picture")
        pairs = pd.concat(at_same_rates(base[kind, name], own) for name, own in pictures)
        mean = pairs[["error", "other_error", "psnr", "other_psnr"]].mean()
        lines.append(
            {"error": kind, "model": model, "without": mean["error"], "with": mean["other_error"],
             "times smaller": mean["error"] / mean["other_error"],
             "PSNR, dB": mean["other_psnr"] - mean["psnr"]}
        )  # fmt: skip
    return pd.DataFrame(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--screens", required=True)
    arguments = parser.parse_args()
    photos, screens = held_out(arguments.photos), held_out(arguments.screens)
    print(f"{len(photos)} photographs and {len(screens)} screenshots, all held out\n")
    table = pd.DataFrame(
        [row for folder in arguments.models for row in rows(folder, photos, screens)]
    )
    print(compared(table, arguments.models[0].name).to_markdown(index=False, floatfmt=".4g"))


if __name__ == "__main__":
    main()
