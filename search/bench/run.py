"""The command `bench`: measure every codec on every photograph at every quality, then report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import track

from latency_predictor.errors import UserError
from search.bench.anchors import BenchCodec
from search.bench.measure import CodingTask, Photograph, Source, codec_of, measure_coding, probe
from search.bench.pool import WorkerPool
from search.bench.report import Failure, summarise, write_bench_report
from search.bench.results import Results
from search.bench.store import FILE, Store
from search.data.own_folders import mark
from search.data.photographs import find_photographs
from search.metrics import find_metric


class BenchError(UserError):
    """The codecs or photographs cannot be compared as requested."""


@dataclass(frozen=True)
class Request:
    """Photographs, codecs and metrics to compare."""

    photographs: str
    """Folder of photographs."""
    sources: tuple[Source, ...]
    """The codecs; the anchor is the first."""
    metrics: tuple[str, ...]
    out: Path
    """Folder for measurements and the report."""
    workers: int


def bench(request: Request, console: Console) -> tuple[Path, list[str]]:
    """Measure what has not been measured yet and write the report.

    Returns the report's path and its summary in Markdown. Raises BenchError, CodecError or
    DataError if the request is invalid, WorkerPoolError if a worker was killed, StoreError if the
    file of measurements is invalid, and OSError if a file cannot be read or written.
    """
    codecs = _codecs(request.sources)
    paths = find_photographs(request.photographs)
    if request.out.resolve() == Path(request.photographs).resolve():
        raise BenchError(
            f"{request.out}: is the folder of the photographs; choose another folder with --out"
        )
    request.out.mkdir(parents=True, exist_ok=True)
    mark(request.out)
    try:
        with FileLock(request.out / ".lock", timeout=0), WorkerPool(request.workers) as pool:
            store = Store(request.out / FILE)
            photographs, skipped = _readable(pool, paths, request.metrics)
            tasks = _missing(store, photographs, request)
            failures = _measure(pool, store, tasks, console)
    except Timeout as error:
        raise BenchError(f"{request.out} is in use by another bench") from error
    results = Results.collect(store, photographs, codecs, request.metrics)
    summary = summarise(results, skipped, failures)
    return write_bench_report(request.out, results, summary), summary


def _codecs(sources: Sequence[Source]) -> list[BenchCodec]:
    """The codecs of the sources. Raises BenchError if two share a name."""
    codecs: dict[str, BenchCodec] = {}
    for source in sources:
        codec = codec_of(source)
        if codec.name in codecs:
            raise BenchError(f"{source}: another codec is called '{codec.name}'; rename the model")
        codecs[codec.name] = codec
    return list(codecs.values())


def _readable(
    pool: WorkerPool, paths: Sequence[Path], metrics: Sequence[str]
) -> tuple[list[Photograph], list[str]]:
    """Readable photographs without duplicates, sorted by path, and reasons why others are left out.

    Raises BenchError if none is left.
    """
    least = max(find_metric(name).min_side for name in metrics)
    found: dict[str, Photograph] = {}
    skipped = []
    for path, probed in sorted(pool.results(probe, paths), key=lambda item: item[0]):
        if isinstance(probed, str):
            skipped.append(probed)
        elif min(probed.height, probed.width) < least:
            skipped.append(f"{path}: smaller than {least}x{least}, which the metrics require")
        elif probed.digest in found:
            skipped.append(f"{path}: has the same pixels as {found[probed.digest].path.name}")
        else:
            found[probed.digest] = probed
    if not found:
        raise BenchError(f"no photograph can be used; the reason for the first is: {skipped[0]}")
    return list(found.values()), skipped


def _missing(store: Store, photographs: Sequence[Photograph], request: Request) -> list[CodingTask]:
    """Tasks for measurements that the store lacks, grouped by photograph."""
    tasks = []
    for photograph in photographs:
        for source in request.sources:
            codec = codec_of(source)
            for quality in codec.qualities:
                known = store.get((codec.settings, photograph.digest, quality))
                scores = known.scores if known else {}
                missing = tuple(name for name in request.metrics if name not in scores)
                if missing:
                    tasks.append(CodingTask(source, photograph, quality, missing))
    return tasks


def _measure(
    pool: WorkerPool, store: Store, tasks: Sequence[CodingTask], console: Console
) -> list[Failure]:
    failures = []
    shown = track(
        pool.results(measure_coding, tasks), "Measuring", total=len(tasks), console=console,
        transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    for task, measured in shown:
        if isinstance(measured, str):
            name = task.photograph.path.name
            failures.append(Failure(codec_of(task.source).name, name, task.quality, measured))
        else:
            store.append(measured)
    return failures
