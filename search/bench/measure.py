"""Measurement of one codec on one photograph: bytes, scores and CPU seconds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

from latency_predictor.printable import printable
from search.bench.anchors import BenchCodec, CodecError, Pixels, anchor
from search.bench.store import Measured
from search.data.images import ImageError, read_rgb
from search.metrics import find_metric
from space.architecture import LEVELS
from space.pixels import to_batch

Source = str | Path
"""Name of an anchor, or path of a model file or of a promoted model's folder."""


@dataclass(frozen=True)
class Photograph:
    """A readable photograph."""

    path: Path
    digest: str
    """SHA-256 of its height, width and pixels."""
    height: int
    width: int
    lossy: bool
    """Whether the file has a lossy format. If so, the artefacts of the format count as detail."""
    converted: bool = False
    """Whether the pixels were converted to sRGB from other colours."""


@dataclass(frozen=True)
class CodingTask:
    """One photograph to be coded with one codec at one quality."""

    source: Source
    photograph: Photograph
    quality: float
    metrics: tuple[str, ...]


@cache
def codec_of(source: Source) -> BenchCodec:
    """The codec for an anchor's name or a model's path.

    Raises CodecError if the anchor is unknown or cannot run on this machine, or if the path is not
    that of a model.
    """
    return _codec_of_model(source) if isinstance(source, Path) else anchor(source)


def name_of(path: Path) -> str:
    """Name of a model: that of its file without the suffix, or that of its folder."""
    from space.bitstream.model_file import MODEL_FILE

    if path.name == MODEL_FILE:
        path = path.parent
    return path.resolve().name if path.is_dir() else path.stem


def probe(path: Path) -> Photograph | str:
    """Read a photograph's properties. Returns an error message if the file cannot be read."""
    try:
        decoded = read_rgb(path)
    except ImageError as error:
        return str(error)
    height, width, _ = decoded.pixels.shape
    digest = hashlib.sha256(f"{height} {width} ".encode() + decoded.pixels.tobytes()).hexdigest()
    converted = decoded.converted_from is not None
    return Photograph(path, digest, height, width, decoded.lossy, converted)


def measure_coding(task: CodingTask) -> Measured | str:
    """Encode, decode and score one photograph. Returns an error message if a step fails."""
    codec, photograph = codec_of(task.source), task.photograph
    # Libraries raise many kinds of errors, and one photograph must not stop the whole bench.
    try:
        original = _pixels(photograph.path)
        started_s = _cpu_s()
        data = codec.encode(original, task.quality)
        encoded_s = _cpu_s()
        decoded = codec.decode(data)
        decoded_s = _cpu_s()
        if decoded.shape != original.shape:
            raise CodecError(f"an image of shape {original.shape} was decoded as {decoded.shape}")
        pair = to_batch(original), to_batch(decoded)
        scores = {name: float(find_metric(name)(*pair)) for name in task.metrics}
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


def _codec_of_model(path: Path) -> BenchCodec:
    """A model that codes files in memory at its integer quality levels, on the CPU."""
    # This imports compressai, which takes seconds and is not needed for anchors.
    import torch

    from space.bitstream import files
    from space.bitstream.model_file import Model, ModelError

    try:
        model = Model.load(path).to(torch.float32)
    except ModelError as error:
        raise CodecError(str(error)) from error
    name = name_of(path)
    return BenchCodec(
        name,
        printable(name),
        f"model {model.id.hex()}",
        tuple(float(level) for level in range(LEVELS)),
        lambda pixels, quality: files.encode(pixels, model, quality),
        lambda data: files.decode(data, model),
    )


@lru_cache(maxsize=1)
def _pixels(path: Path) -> Pixels:
    """Pixels of a photograph; the last is cached, since its tasks follow each other."""
    return read_rgb(path).pixels


def _cpu_s() -> float:
    """CPU seconds used so far by all threads and finished child processes.

    Unlike wall time, it hardly depends on other load on the machine.
    """
    used = (getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
