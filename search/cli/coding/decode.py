"""The command `decode`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latency_predictor.cli.progress import shown
from latency_predictor.cli.values import path
from latency_predictor.printable import printable
from search.cli.coding.jobs import Job, check, plan, run
from search.cli.models import SHIPPED_MODEL, naming
from search.cli.options import ModelPath, Output, Threads
from search.cli.replacing import Force, is_decoded

if TYPE_CHECKING:
    from space.runtime.files import RuntimeModel

SUFFIX = ".png"
"""End of the names of the files that are written."""


def decode(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            parser=path,
            help="File written by encode, then the PNG file to write; or several files and "
            "--output.",
        ),
    ],
    *,
    output: Output = None,
    model: ModelPath = None,
    threads: Threads,
    force: Force = False,
) -> None:
    """Decode files that `encode` wrote, and write them as PNG.

    It needs the model that encoded the files; `identify` says which that is. The PNG has the EXIF
    block and the ICC profile that `encode --keep-metadata` kept.
    """
    from search.data.images import check_png
    from space.bitstream.stored_model import ModelError
    from space.runtime.files import RuntimeModel

    model = model or SHIPPED_MODEL
    jobs = plan(files, output, SUFFIX, "FILE OUT")
    for job in jobs:
        check_png(job.out)
    check(jobs, output, model, is_decoded, "picture that decode wrote", force)
    codec = RuntimeModel.load(model)

    def work(job: Job) -> None:
        with naming(model, ModelError):
            _decode(job, codec, threads)

    run(jobs, output, work, "decoded")


def _decode(job: Job, codec: RuntimeModel, threads: int) -> None:
    """Decode one file, and say how large the picture is."""
    from search.data.images import write_png
    from space.bitstream.container import BitstreamError
    from space.runtime import files

    data = job.source.read_bytes()
    with naming(job.source, BitstreamError):
        pixels, metadata = files.decode(
            data, codec, threads,
            lambda tiles, count: shown(tiles, f"Decoding {printable(job.source.name)}", count),
        )  # fmt: skip
    write_png(pixels, job.out, metadata)
    print(f"{printable(job.out)}: {pixels.shape[1]}x{pixels.shape[0]}")
