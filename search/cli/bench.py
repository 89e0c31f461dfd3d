"""The command `bench`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latency_predictor.cli.errors import continuing
from latency_predictor.cli.places import check_folder
from latency_predictor.cli.values import path, whole_number
from latency_predictor.printable import printable
from search.cli.models import SHIPPED_MODEL
from search.cli.options import path_or_default, path_text

if TYPE_CHECKING:
    from search.bench.run import Request


def bench(
    photographs: Annotated[
        str,
        typer.Argument(
            metavar="PHOTOS",
            parser=path_text,
            help="Folder of photographs, searched recursively.",
        ),
    ],
    model: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="MODEL...",
            parser=path,
            show_default="the shipped model",
            help="Models written by train or promote.",
        ),
    ] = None,
    codecs: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            show_default="jpeg,webp,avif,heic,jxl",
            help="Names separated by commas; vvc and av1 are known as well.",
        ),
    ] = None,
    anchor: Annotated[
        str,
        typer.Option(metavar="NAME", help="Codec or model that the others are compared with."),
    ] = "jpeg",
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            show_default="all that need no optional package",
            help="Names separated by commas.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", parser=path_or_default, help="Folder for measurements and the report."
        ),
    ] = Path("results/bench"),
    workers: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=whole_number(1),
            help="Number of single-threaded processes; by default one per core.",
        ),
    ] = os.cpu_count() or 1,
) -> None:
    """Compare codecs and models on photographs.

    Measurements are kept: the same command continues after an interruption, and another command
    with the same --out measures only what is missing.
    """
    from latency_predictor.cli.console import make_console
    from search.bench import run
    from search.promotion.card import keep_bench

    models = model or [SHIPPED_MODEL]
    listed = split_names("--codecs", codecs), split_names("--metrics", metrics)
    request = _request(photographs, models, *listed, anchor, out, workers)
    with continuing():
        report, summary = run.bench(request, make_console(stderr=True))
        for path in model or []:
            folder = path if path.is_dir() else path.parent
            keep_bench(folder, photographs, report, summary, request.metrics)
    print("\n\n".join([*summary, f"Report: {printable(report)}"]))


def _request(
    photographs: str,
    models: Sequence[Path],
    codecs: tuple[str, ...],
    metrics: tuple[str, ...],
    anchor: str,
    out: Path,
    workers: int,
) -> Request:
    """The request of the arguments. Raises CodecError, MetricError or BenchError if invalid."""
    from search.bench.anchors import DEFAULT_CODECS
    from search.bench.measure import name_of
    from search.bench.run import BenchError, Request
    from search.metrics import METRICS, find_metric

    named = {name_of(path): path for path in models}
    sources = [*(codecs or DEFAULT_CODECS), *models]
    first = named.get(anchor, anchor)
    metrics = metrics or tuple(METRICS)
    for name in metrics:
        find_metric(name)
    if out.resolve() in [path.resolve() for path in models]:
        raise BenchError(f"--out {out}: is the folder of a model; choose another folder")
    check_folder(out)
    return Request(
        photographs=photographs,
        sources=(first, *(source for source in sources if source != first)),
        metrics=metrics,
        out=out,
        workers=workers,
    )


def split_names(option: str, text: str | None) -> tuple[str, ...]:
    """Split the value of an option at commas and remove duplicates. Raises BadParameter."""
    names = tuple(dict.fromkeys(text.split(","))) if text is not None else ()
    if "" in names:
        message = f"'{text}' is not a list of names separated by commas"
        raise typer.BadParameter(message, param_hint=f"'{option}'")
    return names
