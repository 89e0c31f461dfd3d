"""A table of codecs: all of `pico_small_2400.yaml` as inherited, and some of them trained.

    python benchmarks/table.py PHOTOS WORK --supernet SUPERNET [--count 40] [--workers 2]

Every architecture is measured as it is inherited from the supernet, at step 0. The reference and
`--count` others, spread evenly over predicted decode time, are trained on from there and measured
at every rung; one in six of them is trained again by another seed. `--brief` random ones are
trained to the first rung only. Writes WORK/pico_small.parquet, with a row per architecture, rung
and seed. Rows are kept in WORK, and the same command continues there; a WORK belongs to one
supernet and one state of the code. The whole takes about 130 CPU minutes. `benchmarks/proxy.py`,
`benchmarks/rungs.py` and `search.evaluation.tabular` read the committed table.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fidelity import METRICS, QUALITIES, SELECT_CROPS, TRAIN_CROPS
from spaces import spread_over_decode_time, tabulated_space
from torch import Tensor

from latency_predictor.writing import write_whole
from search.config.schema import ProxyConfig
from search.data.photographs import Photographs, load_photographs
from search.metrics import find_metric
from search.metrics.rate_distortion import Curve
from search.training.batches import to_tensor
from search.training.proxy import begin
from search.training.validation import measure_curve
from space.architecture import QUALITY_STEPS, Architecture
from space.codec.codec import Codec, level_weights
from space.codec.supernet import Supernet
from space.search_space import SearchSpace

RUNGS = (50, 100, 200)
"""Training steps after which codecs are measured."""
RUNG_METRICS = ("psnr", "ssimulacra2")
"""Metrics of every row; the last rung has all `METRICS`."""
EVERY = 6
"""One in this many trained architectures is also trained by a second seed."""


@dataclass(frozen=True)
class Job:
    """A file of rows: all architectures of some widths as inherited, or one of them trained."""

    name: str
    architectures: tuple[Architecture, ...]
    seed: int | None = None
    """None for inherited architectures."""
    rungs: tuple[int, ...] = RUNGS


def jobs(space: SearchSpace, count: int, brief: int) -> list[Job]:
    """All jobs, the longest first."""
    chosen = spread_over_decode_time(space, count)
    reference = space.reference
    trained = [reference, *(a for a in chosen if a != reference)]
    drawn = map(space.architecture, np.random.default_rng(0).permutation(space.size).tolist())
    briefly = itertools.islice((a for a in drawn if a not in trained), brief)
    by_widths: dict[tuple[int, ...], list[Architecture]] = {}
    for number in range(space.size):
        architecture = space.architecture(number)
        widths = tuple(chain.C for chain in architecture.decoder)
        by_widths.setdefault(widths, []).append(architecture)
    return [
        *(Job(f"trained-{a.id}-0", (a,), 0) for a in trained),
        *(Job(f"trained-{a.id}-1", (a,), 1) for a in chosen[::EVERY]),
        *(Job(f"brief-{a.id}", (a,), 0, RUNGS[:1]) for a in briefly),
        *(Job(f"inherited-{'-'.join(map(str, w))}", tuple(a)) for w, a in by_widths.items()),
    ]


_SHARED: dict[str, Any] = {}
"""Photographs, supernet and folder of the rows, which the jobs of a process share."""


def _prepare(photographs: str, work: Path, supernet: Path) -> None:
    torch.set_num_threads(1)
    crops = load_photographs(photographs, 400, TRAIN_CROPS, SELECT_CROPS, cache=work / ".crops")
    _SHARED["photographs"], _SHARED["supernet"] = crops, Supernet.load(supernet)
    _SHARED["work"] = work


def _perform(job: Job) -> str:
    photographs: Photographs = _SHARED["photographs"]
    supernet: Supernet = _SHARED["supernet"]
    if job.seed is None:
        rows = list(inherited(job.architectures, photographs, supernet))
    else:
        rows = list(trained(job, photographs, supernet))
    text = "\n".join(json.dumps(row) for row in rows)
    write_whole(_SHARED["work"] / f"{job.name}.jsonl", text.encode())
    return job.name


def trained(job: Job, photographs: Photographs, supernet: Supernet) -> Iterator[dict[str, Any]]:
    """A row per rung of one training."""
    architecture, seed = job.architectures[0], job.seed or 0
    training = begin(architecture, supernet, ProxyConfig(), seed)
    train_s, losses = 0.0, 0.0
    for rung in job.rungs:
        began = time.process_time()
        losses += sum(training.advance(photographs.train) for _ in range(rung - training.step))
        train_s += time.process_time() - began
        metrics = METRICS if rung == RUNGS[-1] else RUNG_METRICS
        began = time.process_time()
        curve = measure_curve(training.codec, photographs.select, QUALITIES, metrics)
        measure_s = time.process_time() - began
        yield _row(architecture, rung, seed, curve) | {
            "train_cpu_s": round(train_s, 1),
            "measure_cpu_s": round(measure_s, 1),
            "summed_loss": losses,
        }


@torch.no_grad()
def inherited(
    architectures: tuple[Architecture, ...], photographs: Photographs, supernet: Supernet
) -> Iterator[dict[str, Any]]:
    """A row per architecture, as inherited. All architectures have equal widths.

    Equal widths have equal symbols, and equal features up to the first chain that differs. Both are
    computed once.
    """
    began = time.process_time()
    originals = [to_tensor(crop[None], torch.device("cpu")) for crop in photographs.select]
    first = supernet.start(architectures[0]).eval()
    settings = [(quality, image) for quality in QUALITIES for image in originals]
    coded = [_dequantised(first, image, quality) for quality, image in settings]
    bits = np.array([bits for *_, bits in coded]).reshape(len(QUALITIES), -1)
    bpp = bits.mean(axis=1) / originals[0][0, 0].numel()
    seen: dict[tuple[Any, ...], list[Tensor]] = {}
    for architecture in architectures:
        features = [latent for latent, *_ in coded]
        synthesis = supernet.start(architecture).decoder.synthesis.eval()
        for stage in range(3):
            key = architecture.decoder[: stage + 1]
            if key not in seen:
                # Those of earlier architectures from this stage on are not needed again.
                for other in [k for k in seen if len(k) > stage]:
                    del seen[other]
                head = synthesis.head if stage == 0 else torch.nn.Identity()
                chain, up = synthesis.chains[stage], synthesis.ups[stage]
                seen[key] = [
                    up(chain(head(x), levels))
                    for x, (_, levels, _) in zip(features, coded, strict=True)
                ]
            features = seen[key]
        pairs = zip(features, settings, strict=True)
        images = [((x.clamp(0, 1) * 255).round() / 255, image) for x, (_, image) in pairs]
        curve: dict[str, list[float]] = {"bpp": bpp.tolist()}
        for metric in map(find_metric, RUNG_METRICS):
            values = [metric.quality(metric(image, decoded).item()) for decoded, image in images]
            curve[metric.name] = np.reshape(values, (len(QUALITIES), -1)).mean(axis=1).tolist()
        ended = time.process_time()
        yield _row(architecture, 0, 0, curve) | {"measure_cpu_s": round(ended - began, 1)}
        began = ended


def _dequantised(codec: Codec, image: Tensor, quality: float) -> tuple[Tensor, Tensor, float]:
    """Input of the synthesis transform for an image, its level weights, and the symbols' bits."""
    levels = level_weights((torch.tensor([quality]) * QUALITY_STEPS).round().long())
    latent, z = codec.analysis(image, levels)
    context = codec.decoder.context
    symbols = context.residual(latent, z.round(), levels).round()
    bits = codec(image, torch.tensor([quality])).bits.item()
    return context(symbols, z.round(), levels), levels, bits


def _row(architecture: Architecture, steps: int, seed: int, curve: Curve) -> dict[str, Any]:
    identity = {"id": architecture.id, "architecture": architecture.to_json()}
    return identity | {"steps": steps, "seed": seed, **curve}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs")
    parser.add_argument("work", type=Path)
    parser.add_argument("--supernet", type=Path, required=True)
    parser.add_argument("--count", type=int, default=40, help="architectures to train")
    parser.add_argument("--brief", type=int, default=284, help="others, to the first rung")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    every_job = jobs(tabulated_space(), arguments.count, arguments.brief)
    missing = [job for job in every_job if not (work / f"{job.name}.jsonl").is_file()]
    shared = (arguments.photographs, work, arguments.supernet)
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.workers, _prepare, shared) as pool:
        for finished in pool.imap_unordered(_perform, missing):
            print(finished, flush=True)
    lines = [(work / f"{job.name}.jsonl").read_text().splitlines() for job in every_job]
    frame = pd.DataFrame([json.loads(line) for lines_of in lines for line in lines_of])
    frame.to_parquet(work / "pico_small.parquet", index=False, compression="zstd")


if __name__ == "__main__":
    main()
