"""One photograph through one codec: its bytes, its scores, its seconds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import torch
from torch import Tensor

from search.bench.anchors import Codec, CodecError, Pixels, anchor
from search.bench.store import Measured
from search.images import ImageError, read_rgb
from search.metrics import find
from space.architecture import LEVELS

Source = str | Path
"""Name of an anchor, or path of a model file or of a folder that `promote` wrote."""


@dataclass(frozen=True)
class Photograph:
    """A photograph that can be benched."""

    path: Path
    digest: str
    """SHA-256 of its height, width and pixels."""
    height: int
    width: int
    lossy: bool
    """Whether it comes from a lossy file, whose artefacts then count as detail."""


@dataclass(frozen=True)
class Task:
    """One photograph to code once."""

    source: Source
    photograph: Photograph
    quality: float
    metrics: tuple[str, ...]


@cache
def codec_of(source: Source) -> Codec:
    """The codec of an anchor's name or of a model.

    Raises CodecError for one that is unknown, is no model, or cannot run here.
    """
    return _codec_of_model(source) if isinstance(source, Path) else anchor(source)


def name_of(path: Path) -> str:
    """What a model is called: its file without suffix, or the folder that is its own."""
    from space.model import FILE

    if path.name == FILE:
        path = path.parent
    return path.resolve().name if path.is_dir() else path.stem


def probe(path: Path) -> Photograph | str:
    """Whether and as what a photograph can be read, else why not."""
    try:
        decoded = read_rgb(path)
    except ImageError as error:
        return str(error)
    height, width, _ = decoded.pixels.shape
    digest = hashlib.sha256(f"{height} {width} ".encode() + decoded.pixels.tobytes()).hexdigest()
    return Photograph(path, digest, height, width, decoded.lossy)


def measure(task: Task) -> Measured | str:
    """Encode, decode and score, or why that failed."""
    codec, photograph = codec_of(task.source), task.photograph
    # Libraries raise errors of every kind, and one photograph must not end a bench.
    try:
        original = _pixels(photograph.path)
        started_s = _cpu_s()
        data = codec.encode(original, task.quality)
        encoded_s = _cpu_s()
        decoded = codec.decode(data)
        decoded_s = _cpu_s()
        if decoded.shape != original.shape:
            raise CodecError(f"{original.shape} was decoded as {decoded.shape}")
        pair = _tensor(original), _tensor(decoded)
        scores = {name: float(find(name)(*pair)) for name in task.metrics}
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return Measured(
        codec=codec.name,
        settings=codec.settings,
        photograph=photograph.digest,
        width=photograph.width,
        height=photograph.height,
        quality=task.quality,
        bytes=len(data),
        encode_s=encoded_s - started_s,
        decode_s=decoded_s - encoded_s,
        scores=scores,
    )


def _codec_of_model(path: Path) -> Codec:
    """A model that codes real files in memory at its quality levels, on the CPU."""
    # Imports compressai, which takes seconds that anchors need not wait for.
    from space import files
    from space.model import Model, ModelError

    try:
        model = Model.load(path)
    except ModelError as error:
        raise CodecError(str(error)) from error
    name = name_of(path)
    return Codec(
        name,
        name,
        f"model {model.id.hex()}",
        tuple(float(level) for level in range(LEVELS)),
        lambda pixels, quality: files.encode(pixels, model, quality),
        lambda data: files.decode(data, model),
    )


@lru_cache(maxsize=1)
def _pixels(path: Path) -> Pixels:
    """Tasks of one photograph follow each other."""
    return read_rgb(path).pixels


def _tensor(pixels: Pixels) -> Tensor:
    """Pixels as metrics take them: [1, 3, H, W] in [0, 1]."""
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255


def _cpu_s() -> float:
    """CPU seconds so far, of all threads and of finished child processes.

    Other than wall time it hardly depends on what else the machine does.
    """
    used = (getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
