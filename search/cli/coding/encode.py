"""The command `encode`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latency_predictor.cli.progress import shown
from latency_predictor.cli.values import path
from latency_predictor.errors import UserError
from latency_predictor.printable import printable
from search.cli.coding.jobs import Job, check, plan, run
from search.cli.models import SHIPPED_MODEL, naming
from search.cli.options import ModelPath, Output, Threads
from search.cli.replacing import Force, is_coded
from search.data.own_folders import SUFFIXES as PICTURES

if TYPE_CHECKING:
    from space.runtime.files import RuntimeModel

SUFFIX = ".pcd"
"""End of the names of the files that are written to a folder."""


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
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            parser=path,
            help="Image (PNG, JPEG, WebP, TIFF, HEIC or AVIF), then the file to write; or several "
            "images and --output.",
        ),
    ],
    *,
    output: Output = None,
    model: ModelPath = None,
    quality: Annotated[
        float, typer.Option(metavar="Q", parser=_quality, help="Quality, 0 to 7.")
    ] = 4.0,
    keep_metadata: Annotated[
        bool,
        typer.Option(
            "--keep-metadata",
            help="Keep EXIF, also the position if it is there (GPS), and the ICC profile.",
        ),
    ] = False,
    threads: Threads,
    force: Force = False,
) -> None:
    """Compress photographs.

    A photograph is coded as 8-bit sRGB, without its metadata. Colours outside sRGB are clipped.

    With --keep-metadata the file also has the photograph's EXIF block, in which the orientation is
    that of the upright picture, and its ICC profile if that is an RGB one: the picture then keeps
    its colours outside sRGB. `decode` writes both. EXIF may tell where and when a photograph was
    taken, and by whom. The EXIF of a TIFF file is not kept.
    """
    from space.bitstream.stored_model import ModelError
    from space.runtime.files import RuntimeModel

    model = model or SHIPPED_MODEL
    jobs = plan(files, output, SUFFIX, "IMAGE OUT")
    check(jobs, output, model, is_coded, "file of encode", force)
    for job in jobs:
        _check_name(job.out)
    codec = RuntimeModel.load(model)

    def work(job: Job) -> None:
        with naming(model, ModelError):
            _encode(job, codec, quality, keep_metadata, threads)

    run(jobs, output, work, "encoded")


def _check_name(out: Path) -> None:
    """Raise UserError if the name of a file to write is that of a picture."""
    if out.suffix.lower() in PICTURES:
        raise UserError(
            f"{printable(out)}: a compressed photograph is no {out.suffix} file; expected a name "
            f"that ends in {SUFFIX}"
        )


def _encode(
    job: Job, codec: RuntimeModel, quality: float, keep_metadata: bool, threads: int
) -> None:
    """Encode one photograph, and say how large it is."""
    from latency_predictor.writing import write_whole
    from search.cli.coding.metadata import parts_of
    from search.data.images import read_rgb
    from space.bitstream.container import BitstreamError
    from space.runtime import files

    image = read_rgb(job.source, keep_metadata)
    with naming(job.source, BitstreamError):
        data = files.encode(
            image.pixels, codec, quality, image.metadata, threads,
            lambda tiles, count: shown(tiles, f"Encoding {printable(job.source.name)}", count),
        )  # fmt: skip
    write_whole(job.out, data)
    height, width, _ = image.pixels.shape
    bpp = 8 * len(data) / (height * width)
    name = printable(job.out)
    print(f"{name}: {width}x{height}, {len(data):,} bytes, {bpp:.3f} bpp")
    if keep_metadata:
        print(f"{name}: metadata kept: {parts_of(image.metadata) or 'none was found'}")
    if image.converted_from:
        source = printable(image.converted_from)
        print(f"{printable(job.source)}: converted from {source} to sRGB")
