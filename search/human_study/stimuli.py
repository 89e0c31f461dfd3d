"""Making of a study: photographs are cropped, and coded by every codec at every rate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, count
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from latency_predictor.errors import UserError
from latency_predictor.printable import printable
from latency_predictor.writing import whole_folder, write_whole
from search.bench.anchors import Pixels, anchor
from search.bench.measure import Source, codec_of
from search.bench.pool import WorkerPool
from search.data.images import ImageError, read_rgb
from search.data.own_folders import mark
from search.data.photographs import find_photographs
from search.human_study.crops import crop
from search.human_study.manifest import Picture, Size, Stimulus, Study
from search.human_study.rates import SETTINGS, Coding, Fitted

CATCH_QUALITY = 5
"""Quality of the JPEG in training and catch trials. Its blocks are plain to see at a glance."""


class CreateError(UserError):
    """A study cannot be made as requested."""


@dataclass(frozen=True)
class Request:
    """What a study is made from."""

    photographs: str
    """Folder of photographs."""
    sources: tuple[Source, ...]
    """Names of classical codecs and paths of models."""
    rates: tuple[float, ...]
    """Target bit rates in bpp."""
    size: Size
    choice: str
    """Place of the crops, one of `search.human_study.crops.CHOICES`."""
    out: Path
    """Folder of the study, which must not exist."""
    seed: int
    workers: int


@dataclass(frozen=True)
class Created:
    """A study, and lines that tell the user about it."""

    study: Study
    skipped: list[str]
    """Why photographs were left out."""
    unreached: list[str]
    """Why conditions were left out."""


@dataclass(frozen=True)
class _Task:
    """One photograph to be cropped and coded."""

    photograph: Path
    id: str
    request: Request
    folder: Path
    """Folder that becomes the study's."""


@dataclass(frozen=True)
class _Coded:
    """A picture with all conditions, of which some may miss their rates."""

    picture: Picture
    missed: dict[str, float]
    """The nearest bit rate for each condition that the codec cannot reach."""


def create(request: Request, console: Console) -> Created:
    """Write the folder of a study whole or not at all.

    Raises CreateError, CodecError, DataError or OSError if the request cannot be fulfilled.
    """
    if request.out.exists():
        raise CreateError(f"{request.out}: exists already; expected the name of a new folder")
    _check_names(request.sources)
    photographs = find_photographs(request.photographs)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(request.out) as folder, WorkerPool(request.workers) as pool:
        mark(folder)
        tasks = [_Task(*named, request, folder) for named in _ids(photographs).items()]
        results = track(
            pool.results(_make_picture, tasks), "Coding", total=len(tasks), console=console,
            transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        done = sorted(results, key=lambda result: result[0].id)
        coded = [result for _, result in done if isinstance(result, _Coded)]
        skipped = [result for _, result in done if isinstance(result, str)]
        if not coded:
            raise CreateError(f"no photograph can be used; the first: {skipped[0]}")
        unreached = _unreached(coded)
        study = _study(request, coded, unreached)
        _delete(folder, coded, set(unreached))
        study.write(folder)
    return Created(study, skipped, list(unreached.values()))


def _check_names(sources: Sequence[Source]) -> None:
    """Raise CodecError if a codec cannot run here, and CreateError if two have the same name."""
    seen: set[str] = set()
    for source in sources:
        name = codec_of(source).name
        if name in seen or (isinstance(source, Path) and name in SETTINGS):
            raise CreateError(f"{source}: another codec is called '{name}'; rename the model")
        seen.add(name)


def _ids(photographs: Sequence[Path]) -> dict[Path, str]:
    """Ids of photographs: their names as far as they are plain letters and digits, all distinct."""
    ids: dict[Path, str] = {}
    # Some file systems take upper and lower case for the same.
    taken: set[str] = set()
    for path in photographs:
        plain = _plain(path.stem)
        names = chain([plain], (f"{plain}-{number}" for number in count(2)))
        ids[path] = next(name for name in names if name.lower() not in taken)
        taken.add(ids[path].lower())
    return ids


def _plain(name: str) -> str:
    """A name in the letters that paths in a study may have."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "picture"


def _make_picture(task: _Task) -> _Coded | str:
    """Crop and code one photograph; return a reason if it cannot be used."""
    size = task.request.size
    try:
        pixels = read_rgb(task.photograph).pixels
    except ImageError as error:
        return str(error)
    if pixels.shape[0] < size.height or pixels.shape[1] < size.width:
        return (
            f"{task.photograph}: {pixels.shape[1]}x{pixels.shape[0]} pixels are smaller than the "
            f"crop of {size.width}x{size.height}"
        )
    original = crop(pixels, size.width, size.height, task.request.choice)
    place = f"pictures/{task.id}"
    (task.folder / place).mkdir(parents=True)
    _write(task.folder / place / "original.png", original)
    jpeg = anchor("jpeg")
    catch = jpeg.decode(jpeg.encode(original, CATCH_QUALITY))
    _write(task.folder / place / "catch.png", catch)
    stimuli, missed = _code(task, original)
    picture = Picture(task.id, f"{place}/original.png", stimuli, f"{place}/catch.png")
    return _Coded(picture, missed)


def _code(task: _Task, original: Pixels) -> tuple[tuple[Stimulus, ...], dict[str, float]]:
    """All reconstructions of a crop, and the nearest bpp of those that miss their rates."""
    area = original.shape[0] * original.shape[1]
    stimuli, missed = [], {}
    for number, source in enumerate(task.request.sources):
        codec = codec_of(source)
        coding = Coding(codec, original)
        for rate in task.request.rates:
            wanted = rate * area / 8
            fitted = coding.near(wanted)
            name = f"{_plain(codec.name)}-{number}-{rate:g}"
            stimulus = _stimulus(task.id, name, source, rate, fitted)
            _write(task.folder / stimulus.file, fitted.pixels)
            stimuli.append(stimulus)
            if not fitted.reaches(wanted):
                missed[stimulus.condition.label] = stimulus.bpp
    return tuple(stimuli), missed


def _stimulus(picture: str, name: str, source: Source, rate: float, fitted: Fitted) -> Stimulus:
    area = fitted.pixels.shape[0] * fitted.pixels.shape[1]
    return Stimulus(
        id=f"{picture}/{name}",
        codec=codec_of(source).name,
        target_bpp=rate,
        bpp=8 * fitted.bytes / area,
        bytes=fitted.bytes,
        setting=f"quality {fitted.quality:g}",
        file=f"pictures/{picture}/{name}.png",
    )


def _write(path: Path, pixels: Pixels) -> None:
    """Write an image [H, W, 3] as PNG without metadata."""
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=False)
    write_whole(path, file.getvalue())


def _unreached(coded: Sequence[_Coded]) -> dict[str, str]:
    """A line for each condition that a codec does not reach on some picture."""
    lines = {}
    for stimulus in coded[0].picture.stimuli:
        label = stimulus.condition.label
        missing = {each.picture.id: each.missed[label] for each in coded if label in each.missed}
        if missing:
            id, reached = max(
                missing.items(), key=lambda item: abs(np.log(item[1] / stimulus.target_bpp))
            )
            lines[label] = (
                f"{printable(label)} bpp is left out: {len(missing)} of {len(coded)} pictures "
                f"cannot have this rate; for {id} the nearest is {reached:.3f} bpp"
            )
    return lines


def _delete(folder: Path, coded: Sequence[_Coded], left_out: set[str]) -> None:
    """Delete the reconstructions under conditions that are left out."""
    for each in coded:
        for stimulus in each.picture.stimuli:
            if stimulus.condition.label in left_out:
                (folder / stimulus.file).unlink()


def _study(request: Request, coded: Sequence[_Coded], left_out: Mapping[str, str]) -> Study:
    """The study of the conditions that are kept. Raises CreateError if fewer than two are."""
    pictures = tuple(
        Picture(
            each.picture.id,
            each.picture.original,
            tuple(s for s in each.picture.stimuli if s.condition.label not in left_out),
            each.picture.catch,
        )
        for each in coded
    )
    if len(pictures[0].stimuli) < 2:
        reasons = "; ".join(left_out.values()) or "there is one codec at one rate"
        raise CreateError(f"expected two codecs or rates or more: {reasons}")
    return Study(request.out.name, request.seed, request.size, pictures)
