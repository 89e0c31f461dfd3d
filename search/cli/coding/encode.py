"""The command `encode`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from latency_predictor.cli.places import check_file
from latency_predictor.cli.progress import shown
from latency_predictor.cli.values import path
from latency_predictor.printable import printable
from search.cli.models import SHIPPED_MODEL, load_model, naming
from search.cli.options import ModelPath
from search.cli.replacing import Force, check_output, is_coded


def _quality(text: str) -> float:
    """Parse a quality. Raises BadParameter."""
    from space.architecture import LEVELS

    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LEVELS - 1:
        raise typer.BadParameter(f"'{text}' is not a number from 0 to {LEVELS - 1}")
    return value


def encode(
    image: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGE", parser=path, help="Image: PNG, JPEG, WebP, TIFF, HEIC or AVIF."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", parser=path, help="File to write.")],
    *,
    model: ModelPath = None,
    quality: Annotated[
        float, typer.Option(metavar="Q", parser=_quality, help="Quality, 0 to 7.")
    ] = 4.0,
    force: Force = False,
) -> None:
    """Compress a photograph.

    The photograph is coded as 8-bit sRGB. Colours outside sRGB are clipped.
    """
    from latency_predictor.writing import write_whole
    from search.data.images import read_rgb
    from space.bitstream import files
    from space.bitstream.container import BitstreamError
    from space.bitstream.model_file import ModelError

    model = model or SHIPPED_MODEL
    check_file(out, image, model)
    check_output(out, is_coded, "file of encode", force)
    codec = load_model(model)
    decoded = read_rgb(image)
    pixels = decoded.pixels
    with naming(image, BitstreamError), naming(model, ModelError):
        data = files.encode(pixels, codec, quality, lambda tiles: shown(tiles, "Encoding"))
    write_whole(out, data)
    height, width, _ = pixels.shape
    bpp = 8 * len(data) / (height * width)
    print(f"{printable(out)}: {width}x{height}, {len(data):,} bytes, {bpp:.3f} bpp")
    if decoded.converted_from:
        print(f"{printable(image)}: converted from {printable(decoded.converted_from)} to sRGB")
