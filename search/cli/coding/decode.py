"""The command `decode`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latency_predictor.cli.places import check_file
from latency_predictor.cli.progress import shown
from latency_predictor.cli.values import path
from latency_predictor.printable import printable
from search.cli.models import SHIPPED_MODEL, load_model, naming
from search.cli.options import ModelPath
from search.cli.replacing import Force, check_output, is_decoded


def decode(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", parser=path, help="File written by encode.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", parser=path, help="PNG file to write.")],
    *,
    model: ModelPath = None,
    force: Force = False,
) -> None:
    """Decode a file that `encode` wrote, and write it as PNG.

    It needs the model that encoded the file; `identify` says which that is.
    """
    from search.data.images import check_png, write_png
    from space.bitstream import files
    from space.bitstream.container import BitstreamError
    from space.bitstream.model_file import ModelError

    model = model or SHIPPED_MODEL
    check_png(out)
    check_file(out, file, model)
    check_output(out, is_decoded, "picture that decode wrote", force)
    codec = load_model(model)
    data = file.read_bytes()
    with naming(file, BitstreamError), naming(model, ModelError):
        pixels = files.decode(data, codec, lambda tiles: shown(tiles, "Decoding"))
    write_png(pixels, out)
    print(f"{printable(out)}: {pixels.shape[1]}x{pixels.shape[0]}")
