"""Sample crops of a run: their files, and JPEG and AVIF at the same number of bytes.

Every picture is a PNG file in SAMPLES_FOLDER, with figures in text chunks. The original of sample
crop N is `original-N.png`, which also states the number of bytes at which codecs are compared. The
reconstruction by an architecture is `ID-N.png`. Runs of earlier versions lack such originals, and
are read as if they had no sample crops.
"""

from __future__ import annotations

import base64
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from latency_predictor.errors import InputWarning
from latency_predictor.writing import write_whole
from search.bench.anchors import Pixels
from search.bench.image_data import QUALITIES, fitted
from search.bench.samples import Sample, sample_crops, target_bytes
from search.data.photographs import Crops

SAMPLES_FOLDER = "samples"
"""Folder of the pictures within a run's folder. A run that replays a table has none."""
ORIGINAL = "original"
TARGET, BITS, QUALITY = "target bytes", "estimated bits", "quality level"
"""Keywords of the text chunks: the first in originals, the others in reconstructions."""


@dataclass(frozen=True)
class Coding:
    """A sample crop as a codec reconstructs it."""

    picture: Image.Image
    bytes: int
    """Size of the coded crop without the file's header, estimated for a learned codec."""
    bpp: float
    setting: str
    """The codec's quality setting, such as `quality 25` or `quality level 2.81`."""


@dataclass(frozen=True)
class SampleCrop:
    """A sample crop and codings of it, at nearly equal numbers of bytes where codecs can."""

    original: Image.Image
    codings: dict[str, Coding]
    """Codings by `jpeg`, `avif` and the ids of architectures, in this order."""


def write_originals(folder: Path, crops: Crops) -> None:
    """Write the sample crops among the selection crops below a run's folder."""
    (folder / SAMPLES_FOLDER).mkdir(exist_ok=True)
    for number, pixels in enumerate(sample_crops(crops), 1):
        _write(_path(folder, ORIGINAL, number), pixels, {TARGET: target_bytes(pixels)})


def write_samples(folder: Path, architecture_id: str, samples: Sequence[Sample]) -> None:
    """Write an architecture's reconstructions of the sample crops below a run's folder."""
    for number, sample in enumerate(samples, 1):
        figures = {BITS: sample.bits, QUALITY: sample.quality}
        _write(_path(folder, architecture_id, number), sample.pixels, figures)


def read_samples(folder: Path, ids: Sequence[str]) -> list[SampleCrop]:
    """The sample crops of the run in a folder, coded by JPEG, AVIF and architectures.

    A crop whose original is unreadable is left out, and so is a reconstruction that is missing or
    unreadable. AVIF takes half a second per crop, and JPEG much less. AVIF has 64 quantisers, so
    that its number of bytes may be up to a tenth below the others'.
    """
    count = len(list((folder / SAMPLES_FOLDER).glob(f"{ORIGINAL}-*.png")))
    crops = [_sample_crop(folder, number, ids) for number in range(1, count + 1)]
    return [crop for crop in crops if crop]


def data_uri(picture: Image.Image) -> str:
    """A picture as data URI of a lossless WebP file.

    For a crop of 256x256, the URI has 40 to 110 kB, a third less than that of a PNG file.
    """
    file = BytesIO()
    picture.save(file, "WEBP", lossless=True)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _sample_crop(folder: Path, number: int, ids: Sequence[str]) -> SampleCrop | None:
    """A sample crop by its number; None if its original is unreadable."""
    original = _read(_path(folder, ORIGINAL, number), TARGET)
    if original is None:
        return None
    picture, (target,) = original
    codings = {name: _classical(name, picture, int(target)) for name in QUALITIES}
    for id in ids:
        if read := _read(_path(folder, id, number), BITS, QUALITY):
            codings[id] = _learned(*read)
    return SampleCrop(picture, codings)


def _classical(name: str, original: Image.Image, target: int) -> Coding:
    file = fitted(name, np.asarray(original), target)
    picture = Image.fromarray(file.pixels)
    return _coding(picture, file.data_bytes, f"quality {file.quality}")


def _learned(picture: Image.Image, figures: list[float]) -> Coding:
    bits, quality = figures
    return _coding(picture, math.ceil(bits / 8), f"quality level {quality:.2f}")


def _coding(picture: Image.Image, size_bytes: int, setting: str) -> Coding:
    return Coding(picture, size_bytes, 8 * size_bytes / (picture.width * picture.height), setting)


def _path(folder: Path, name: str, number: int) -> Path:
    return folder / SAMPLES_FOLDER / f"{name}-{number}.png"


def _write(path: Path, pixels: Pixels, figures: dict[str, float]) -> None:
    """Write pixels [H, W, 3] and figures to a PNG file, atomically."""
    texts, file = PngInfo(), BytesIO()
    for name, value in figures.items():
        texts.add_text(name, str(value))
    Image.fromarray(pixels).save(file, "PNG", pnginfo=texts)
    write_whole(path, file.getvalue())


def _read(path: Path, *names: str) -> tuple[Image.Image, list[float]] | None:
    """The picture and the named figures of a file; None if it is missing or unreadable.

    A warning names an unreadable file.
    """
    if not path.exists():
        return None
    try:
        with PngImageFile(path) as file:
            picture, figures = file.convert("RGB"), [float(file.text[name]) for name in names]
        if not all(map(math.isfinite, figures)):
            raise ValueError("its figures are not finite")
    # Decoders raise many kinds of errors on broken files.
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        warnings.warn(f"{path} is broken and was left out ({why})", InputWarning, stacklevel=2)
        return None
    return picture, figures
