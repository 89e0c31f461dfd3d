"""The command `study create`."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latency_predictor.cli.places import check_parent
from latency_predictor.cli.values import path, whole_number
from latency_predictor.printable import printable
from search.cli.options import path_or_default, path_text

if TYPE_CHECKING:
    from search.bench.measure import Source
    from search.human_study.manifest import Study

LEAST_SIDE, MOST_SIDE = 64, 4096
"""Bounds of the sides of a crop in pixels."""


def _rate(text: str) -> float:
    """Parse a bit rate. Raises BadParameter."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 24:
        raise typer.BadParameter(
            f"'{printable(text)}' is not a bit rate; expected bits per pixel, above 0 and up to 24"
        )
    return value


def _size(text: str) -> tuple[int, int]:
    """Parse width and height of a crop. Raises BadParameter."""
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(LEAST_SIDE <= side <= MOST_SIDE for side in sides):
        raise typer.BadParameter(
            f"'{printable(text)}' is not a size; expected WIDTHxHEIGHT such as 512x512, with sides "
            f"from {LEAST_SIDE} to {MOST_SIDE}"
        )
    return sides


def _choice(text: str) -> str:
    """Parse the place of a crop. Raises BadParameter."""
    from search.human_study.crops import CHOICES

    if text not in CHOICES:
        raise typer.BadParameter(f"'{printable(text)}': expected one of {', '.join(CHOICES)}")
    return text


def create(
    photographs: Annotated[
        str,
        typer.Argument(
            metavar="PHOTOS",
            parser=path_text,
            help="Folder of photographs, searched recursively.",
        ),
    ],
    codecs: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Names and paths of models, separated by commas; jpeg, webp, avif, heic, jxl, vvc "
            "and av1 are known.",
        ),
    ],
    bpp: Annotated[
        list[float] | None,
        typer.Option(
            metavar="RATE...",
            parser=_rate,
            show_default="0.25 0.5 1",
            help="Bits per pixel at which all codecs are compared.",
        ),
    ] = None,
    crop: Annotated[
        str,
        typer.Option(metavar="WxH", help="Size of all pictures in pixels."),
    ] = "512x512",
    choose: Annotated[
        str,
        typer.Option(
            metavar="PLACE",
            parser=_choice,
            help="Which part of a photograph is taken: detailed or central.",
        ),
    ] = "detailed",
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", parser=path_or_default, help="Folder of the study to write."),
    ] = Path("study"),
    seed: Annotated[
        int, typer.Option(metavar="N", parser=whole_number(0), help="Seed of the study.")
    ] = 0,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=whole_number(1),
            help="Number of single-threaded processes; by default one per core.",
        ),
    ] = os.cpu_count() or 1,
) -> None:
    """Make a study from photographs: crops of them, coded by every codec at every rate.

    The quality setting of each codec is the one whose file is nearest in bytes to the rate.
    """
    from latency_predictor.cli.console import make_console
    from search.human_study import stimuli
    from search.human_study.manifest import Size

    check_parent(out.absolute())
    request = stimuli.Request(
        photographs=photographs,
        sources=_sources(codecs),
        rates=tuple(sorted(set(bpp or (0.25, 0.5, 1.0)))),
        size=Size(*_size(crop)),
        choice=choose,
        out=out,
        seed=seed,
        workers=workers,
    )
    created = stimuli.create(request, make_console(stderr=True))
    for line in (*created.skipped, *created.unreached):
        print(printable(line))
    print("\n".join(_summary(created.study)))
    print(f"Study: {printable(out)}. Next: python -m search study serve {printable(out)}")


def _sources(text: str) -> tuple[Source, ...]:
    """Names of classical codecs and paths of models. Raises BadParameter."""
    words = list(dict.fromkeys(text.split(",")))
    if "" in words:
        raise typer.BadParameter(
            f"'{printable(text)}' is not a list of names separated by commas",
            param_hint="'--codecs'",
        )
    return tuple(path(word) if _is_path(word) else word for word in words)


def _is_path(word: str) -> bool:
    """Whether a word of `--codecs` is a path. A codec's name is not, even if a folder has it."""
    from search.bench.anchors import DEFAULT_CODECS, OPTIONAL_CODECS

    if word in DEFAULT_CODECS | OPTIONAL_CODECS:
        return False
    return word.endswith(".safetensors") or os.sep in word or Path(word).is_dir()


def _summary(study: Study) -> list[str]:
    """Lines with the bytes of each condition against its target."""
    size = study.device_pixel
    lines = [
        f"Pictures of {size.width}x{size.height} pixels: {len(study.pictures)}, "
        f"under {len(study.conditions)} conditions"
    ]
    for condition in study.conditions:
        stimuli = [picture.shown()[condition.label] for picture in study.pictures]
        excess = [100 * (each.bpp / each.target_bpp - 1) for each in stimuli]
        lines.append(
            f"{printable(condition.label)} bpp: {sum(excess) / len(excess):+.1f} % of the target's "
            f"bytes on average, {min(excess):+.1f} to {max(excess):+.1f} %"
        )
    return lines
