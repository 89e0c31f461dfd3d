"""The command `identify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latency_predictor.cli.values import path
from latency_predictor.errors import UserError
from latency_predictor.printable import printable
from search.cli.replacing import HEAD_BYTES, is_coded, is_model


def identify(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", parser=path, help="File of encode, or model (folder)."),
    ],
) -> None:
    """Say what a file is, and which model decodes it."""
    from space.bitstream.stored_model import ModelError, file_of

    if file.is_dir():
        file = file_of(file)
        if not file.exists():
            raise ModelError(f"{file}: no such model")
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
    if is_coded(head):
        print("\n".join([f"{printable(file)}: compressed photograph", *_of_photograph(file)]))
    elif is_model(head):
        print("\n".join([f"{printable(file)}: model", *_of_model(file)]))
    else:
        raise UserError(f"{file}: expected a file that encode, train or promote wrote")


def _of_photograph(file: Path) -> list[str]:
    from search.cli.coding.metadata import parts_of
    from search.cli.models import SHIPPED_MODEL, naming
    from space.architecture import QUALITY_STEPS
    from space.bitstream.container import BitstreamError, read
    from space.bitstream.stored_model import StoredModel

    data = file.read_bytes()
    with naming(file, BitstreamError):
        header, payloads = read(data)
    shipped = StoredModel.load(SHIPPED_MODEL).description.id == header.model_id
    bpp = 8 * len(data) / (header.width * header.height)
    needs = "the shipped model" if shipped else "no model that is shipped: give it by --model"
    tiles = "1 tile" if len(payloads) == 1 else f"{len(payloads)} tiles"
    kept = parts_of(header.metadata)
    return [
        f"  size      {header.width}x{header.height}, {tiles}",
        f"  bytes     {len(data):,} ({bpp:.3f} bpp)",
        f"  quality   {header.quality_steps / QUALITY_STEPS:g}",
        *([f"  metadata  {kept}"] if kept else []),
        f"  model     {header.model_id.hex()}, {needs}",
    ]


def _of_model(file: Path) -> list[str]:
    from space.bitstream.stored_model import STEPS, StoredModel

    stored = StoredModel.load(file)
    model = stored.description
    sizes = {name: array.size for name, array in stored.tensors.items()}
    numbers = sum(size for name, size in sizes.items() if not name.startswith(STEPS))
    low, high = model.lambdas
    return [
        f"  model     {model.id.hex()}, {numbers / 1e6:.1f} million numbers",
        f"  codec     {model.architecture.id}",
        f"  lambdas   {low:g} to {high:g}",
    ]
