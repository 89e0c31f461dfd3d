"""What a model's card shows: originals, JPEG files of as many bytes, and the model's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from search.bench.anchors import anchor
from search.images import ImageError, read_rgb
from space import files
from space.model import Model

SIDES = (376, 248)
"""Sides of what is coded and shown of a photograph, its middle, in px: the largest that fits. With
margins they are multiples of 64."""
QUALITY = 2.0
"""Of the model: low enough for differences to be seen."""
MOST = 3
JPEG_QUALITIES = range(1, 96)

Pixels = NDArray[np.uint8]


def draw(model: Model, photographs: Sequence[Path]) -> Figure | None:
    """A row for each of the first MOST photographs that are large enough; None without any."""
    middles = [middle for _, middle in zip(range(MOST), _middles(photographs), strict=False)]
    if not middles:
        return None
    figure, axes = plt.subplots(
        len(middles), 3, figsize=(10, 3.5 * len(middles)), layout="constrained", squeeze=False
    )
    for row, original in zip(axes, middles, strict=True):
        data = files.encode(original, model, QUALITY)
        jpeg = _jpeg_of(original, len(data))
        shown = (
            ("original", original),
            (f"JPEG, {len(jpeg):,} bytes", anchor("jpeg").decode(jpeg)),
            (f"this model, {len(data):,} bytes", files.decode(data, model)),
        )
        for axis, (title, pixels) in zip(row, shown, strict=True):
            axis.imshow(pixels, interpolation="none")
            axis.set_title(title, fontsize=10)
            axis.axis("off")
    return figure


def _middles(photographs: Sequence[Path]) -> Iterator[Pixels]:
    for path in photographs:
        try:
            pixels = read_rgb(path).pixels
        except ImageError:
            continue
        side = next((side for side in SIDES if min(pixels.shape[:2]) >= side), None)
        if side:
            yield _middle(pixels, side)


def _middle(pixels: Pixels, side: int) -> Pixels:
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def _jpeg_of(pixels: Pixels, least_bytes: int) -> bytes:
    """The smallest JPEG file that is no smaller, or the largest there is."""
    jpeg = anchor("jpeg")
    tried = (jpeg.encode(pixels, quality) for quality in JPEG_QUALITIES)
    best = b""
    for best in tried:
        if len(best) >= least_bytes:
            break
    return best
