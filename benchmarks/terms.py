"""What the tiling and the text term are worth: errors at seams and inside text at equal rate.

    python benchmarks/terms.py WITHOUT WITH [WITH ...] --photos DIR --screens DIR

Each model is a folder of `promote`; the first was trained without either term. Prints Markdown.

- Cross-tile error, of photographs cut into several tiles: along every seam, in windows of 32 px on
  either side of it, the mean error of both sides per channel; the mean absolute difference of the
  two. An error that both tiles make alike is not seen as a seam.
- Text error: mean absolute error inside text, which PP-OCR finds in the originals.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search.images import ImageError, read_rgb
from search.photographs import find_photographs, split
from search.promotion.text_mask import TextDetector
from space import files, tiling
from space.model import Model

QUALITIES = (0.0, 2.0, 4.0, 6.0)
WINDOW = 32
SIDE = 760
"""Of what is coded of a picture, its middle, px: four tiles."""
Error = NDArray[np.float32]


def seams(error: Error) -> Iterator[float]:
    """Cross-tile error of the windows along each seam of an image's error [H, W, 3] in [0, 1]."""
    for image in (error, error.transpose(1, 0, 2)):
        for row in range(tiling.STRIDE, image.shape[0] - WINDOW + 1, tiling.STRIDE):
            width = image.shape[1] // WINDOW * WINDOW
            above, below = (
                image[at : at + WINDOW, :width].reshape(WINDOW, -1, WINDOW, 3).mean(axis=(0, 2))
                for at in (row - WINDOW, row)
            )
            yield float(np.abs(above - below).mean())


def held_out(folder: str) -> list[Path]:
    """Photographs of a folder that `promote` did not train on."""
    import hashlib

    by_hash = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in find_photographs(folder)}
    parts = split(by_hash)
    return sorted(by_hash[content] for content in (*parts.select, *parts.report))


def pictures(paths: list[Path]) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """Those that can be read, their middles."""
    for path in paths:
        try:
            pixels = read_rgb(path).pixels
        except ImageError as error:
            print(f"- left out: {error}")
            continue
        top, left = (max(0, length - SIDE) // 2 for length in pixels.shape[:2])
        yield path, np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE])


def rows(folder: Path, photos: list[Path], screens: list[Path]) -> Iterator[dict[str, object]]:
    """Errors of a model, by picture and quality."""
    model, detector = Model.load(folder), TextDetector()
    for kind, paths in (("seam", photos), ("text", screens)):
        for path, pixels in pictures(paths):
            mask = detector.mask(pixels) if kind == "text" else None
            for quality in QUALITIES:
                data = files.encode(pixels, model, quality)
                error = (files.decode(data, model).astype(np.float32) - pixels) / 255
                value = np.mean(list(seams(error))) if mask is None else np.abs(error)[mask].mean()
                yield {
                    "model": folder.name, "kind": kind, "picture": path.name, "quality": quality,
                    "bpp": 8 * len(data) / pixels[..., 0].size, "error": float(value),
                    "psnr": -10 * np.log10(np.square(error).mean()),
                }  # fmt: skip


def at_rates(table: pd.DataFrame, bpp: NDArray[np.float64], column: str) -> NDArray[np.float64]:
    """A column of one picture's rows at other rates, on straight lines over log rate."""
    known = table.sort_values("bpp")
    return np.interp(np.log(bpp), np.log(known["bpp"]), known[column])


def compared(table: pd.DataFrame, without: str) -> pd.DataFrame:
    """Mean errors of each model at the rates of `without`, and by how much they are smaller."""
    lines = []
    for (kind, model), part in table.groupby(["kind", "model"], sort=False):
        base = table[(table["kind"] == kind) & (table["model"] == without)]
        pairs = []
        for picture, own in part.groupby("picture"):
            reference = base[base["picture"] == picture].sort_values("bpp")
            bpp = reference["bpp"].to_numpy()
            low, high = own["bpp"].min(), own["bpp"].max()
            inside = (bpp >= low) & (bpp <= high)
            pairs += [
                (e, at, p, q)
                for e, at, p, q, keep in zip(
                    reference["error"], at_rates(own, bpp, "error"), reference["psnr"],
                    at_rates(own, bpp, "psnr"), inside, strict=True,
                )
                if keep
            ]  # fmt: skip
        before, after, psnr, other = np.mean(pairs, axis=0)
        lines.append(
            {"error": kind, "model": model, "without": before, "with": after,
             "times smaller": before / after, "PSNR, dB": other - psnr}
        )  # fmt: skip
    return pd.DataFrame(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
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
