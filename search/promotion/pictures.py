"""Pictures of a model card: originals, JPEG at equal file size, and the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from search.bench.anchors import anchor
from search.data.images import ImageError, read_rgb
from space.bitstream import files
from space.bitstream.model_file import Model

SIDES = (376, 248)
"""Possible sides, in px, of the square that is coded and shown from the middle of a photograph. The
largest that fits is used. With the margins of a tile, each side is a multiple of 64."""
QUALITY = 2.0
"""Quality level at which the model codes the photographs.

It is low enough for differences between the original, JPEG and the model to be visible.
"""
MOST = 3
"""Largest number of photographs shown."""
JPEG_QUALITIES = range(1, 96)
"""Quality settings of JPEG that are tried, in increasing order."""

Pixels = NDArray[np.uint8]


def draw(model: Model, photographs: Sequence[Path]) -> Figure | None:
    """Draw one row of pictures for each of the first MOST photographs that are large enough.

    Returns None if no photograph is large enough.
    """
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
    """The first JPEG file of at least `least_bytes`, or that of the highest quality."""
    jpeg = anchor("jpeg")
    tried = (jpeg.encode(pixels, quality) for quality in JPEG_QUALITIES)
    best = b""
    for best in tried:
        if len(best) >= least_bytes:
            break
    return best
