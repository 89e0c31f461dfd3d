"""The command `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latency_predictor.cli.places import check_file
from latency_predictor.cli.progress import shown
from latency_predictor.cli.values import path, whole_number
from latency_predictor.printable import printable
from search.cli.options import Root, path_text
from search.cli.replacing import Force, check_output, is_model

SHOWN_QUALITY = 4.0
"""Quality level at which `train` reports the results of its model."""
_NATURAL = whole_number(0, 2**63 - 1)


def train(
    point: Annotated[
        str,
        typer.Argument(
            metavar="POINT",
            parser=path_text,
            help="Name in configs/architecture, YAML file of the same form, or RUN/ID of a run.",
        ),
    ],
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", parser=path, help="File to write, such as light.safetensors."
        ),
    ],
    *,
    photos: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            parser=path_text,
            help="Folder of photographs instead of the built-in ones.",
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(metavar="N", parser=_NATURAL, help="Training steps.")
    ] = 1000,
    seed: Annotated[int, typer.Option(metavar="N", parser=_NATURAL, help="Random seed.")] = 0,
    force: Force = False,
    root: Root,
) -> None:
    """Train one architecture briefly into a model.

    `encode` and `decode` use the model file. `promote` trains completely.
    """
    from search.config.schema import DataConfig
    from search.data.photographs import load_photographs
    from search.training.single import find_point, train_point
    from search.training.validation import measure_curve
    from space.bitstream.model_file import Model

    # A point that is a name of an architecture or a trial is no input file.
    check_file(model, *([Path(point)] if Path(point).is_file() else []))
    check_output(model, is_model, "model", force)
    architecture = find_point(point, root)
    photographs = load_photographs(**vars(DataConfig(root=photos)))
    for notice in photographs.notices:
        print(notice)
    codec = train_point(
        architecture, photographs, steps, seed, lambda steps: shown(steps, "Training")
    )
    trained = Model.of(codec)
    trained.save(model)
    metrics = ("psnr", "ssimulacra2")
    curve = measure_curve(codec, photographs.select, (SHOWN_QUALITY,), metrics)
    size_mb = model.stat().st_size / 1e6
    print(
        f"{printable(model)}: model {trained.id.hex()}, {size_mb:.1f} MB; held-out photographs at "
        f"quality {SHOWN_QUALITY:g}: {curve['bpp'][0]:.3f} bpp, "
        f"{curve['psnr'][0]:.2f} dB PSNR, SSIMULACRA2 {curve['ssimulacra2'][0]:.1f}"
    )
