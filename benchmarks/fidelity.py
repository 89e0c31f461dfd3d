"""Architectures of `pico_small_2400.yaml` at several fidelities, measured by every metric.

    python benchmarks/fidelity.py PHOTOS WORK --supernet SUPERNET [--workers 2]

Trains the space's reference and 40 architectures, spread evenly over predicted decode time, by
every protocol below. Measures rate and metrics on held-out crops, and writes WORK/fidelity.parquet
with a row per training. Weights and curves are kept in WORK, and the same command continues there;
a WORK belongs to one supernet and one state of the code. The whole takes about 2 CPU hours.
`benchmarks/proxy.py` and `benchmarks/perception.py` read the committed table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save
from spaces import DEVICE, spread_over_decode_time, tabulated_space, without_blocks

from latency_predictor import load_default
from latency_predictor.writing import write_whole
from search.config.schema import CONFIGS, ProxyConfig
from search.costs.costs import costs_of
from search.data.photographs import Photographs, load_photographs
from search.training.proxy import trained
from search.training.start import Start, initialisation_of
from search.training.validation import measure_curve
from space.architecture import Architecture
from space.codec.codec import Codec
from space.codec.supernet import Supernet
from space.search_space import SearchSpace

COUNT = 40
"""Number of architectures besides the reference."""
TRAIN_CROPS, SELECT_CROPS = 512, 12
QUALITIES = (2.0, 3.5, 5.0, 6.5)
METRICS = (
    "psnr", "ms_ssim", "haarpsi", "ms_gmsd", "ssimulacra2", "cvvdp", "lite0_wasserstein",
)  # fmt: skip
COSTS = ("decode_ms", "kmac_per_px", "parameters_m")
"""Predicted costs that the table contains."""


@dataclass(frozen=True)
class Protocol:
    """The start and the length of a codec's training."""

    name: str
    start: str
    """`initialisation` or `supernet`."""
    steps: int
    loss: str = "psnr"
    """Name of the preset in configs/proxy that has the loss."""


FULL = Protocol("full", "initialisation", 400)
SHORT = Protocol("supernet-50", "supernet", 50)
PERCEPTUAL = Protocol("supernet-50-perceptual", "supernet", 50, loss="perceptual")
LINEAR = Protocol("linear", "initialisation", 400)
"""The reference without blocks: a linear transform with the whole entropy model."""
EVERY = 10
"""One in this many architectures is also trained by a second seed and by the perceptual loss."""


@dataclass(frozen=True)
class Job:
    """One training."""

    protocol: Protocol
    architecture: Architecture
    seed: int
    work: Path

    @property
    def weights(self) -> Path:
        """File of the trained weights."""
        return self.work / f"{self.protocol.name}-{self.architecture.id}-{self.seed}.safetensors"

    @property
    def curve(self) -> Path:
        """File of the measured curve."""
        return self.weights.with_suffix(".json")


def jobs(space: SearchSpace, work: Path) -> list[Job]:
    """All trainings."""
    reference, others = space.reference, spread_over_decode_time(space, COUNT)
    tenth = others[::EVERY]
    linear = replace(
        reference,
        encoder=without_blocks(reference.encoder),
        decoder=without_blocks(reference.decoder),
    )
    return [
        *(Job(FULL, a, 0, work) for a in (reference, *others)),
        Job(LINEAR, linear, 0, work),
        *(Job(PERCEPTUAL, a, 0, work) for a in (reference, *tenth)),
        *(Job(FULL, a, 1, work) for a in tenth),
        *(Job(SHORT, a, 0, work) for a in (reference, *others)),
    ]


_DATA: dict[str, Any] = {}
"""Photographs, and starts of codecs by name, that the trainings of a process share."""


def _prepare(photographs: str, work: Path, supernet: str) -> None:
    torch.set_num_threads(1)
    data = load_photographs(photographs, 400, TRAIN_CROPS, SELECT_CROPS, cache=work / ".crops")
    _DATA["photographs"] = data
    _DATA["initialisation"], _DATA["supernet"] = (
        initialisation_of(data.train),
        Supernet.load(Path(supernet)),
    )


def _perform(job: Job) -> str:
    data: Photographs = _DATA["photographs"]
    if not job.weights.is_file():
        start: Start = _DATA[job.protocol.start]
        began = time.process_time()
        config = ProxyConfig(steps=job.protocol.steps, loss=_loss(job.protocol.loss))
        codec = trained(job.architecture, data.train, start, config, job.seed)
        metadata = {"cpu_s": f"{time.process_time() - began:.1f}"}
        tensors = {name: value.contiguous() for name, value in codec.state_dict().items()}
        write_whole(job.weights, save(tensors, metadata))
    codec = Codec(job.architecture)
    codec.load_state_dict(load_file(job.weights))
    began = time.process_time()
    curve = measure_curve(codec, data.select, QUALITIES, METRICS)
    measure_s = time.process_time() - began
    text = json.dumps({"measure_cpu_s": round(measure_s, 1), **curve})
    write_whole(job.curve, text.encode())
    return f"{job.protocol.name} {job.architecture.id} {job.seed}"


def _loss(preset: str) -> dict[str, float]:
    loss: dict[str, float] = yaml.safe_load((CONFIGS / f"proxy/{preset}.yaml").read_text())["loss"]
    return loss


def table(space: SearchSpace, work: Path) -> pd.DataFrame:
    """A row per finished training: the architecture, CPU seconds, and the curves."""
    rows = []
    for job in jobs(space, work):
        if not job.curve.is_file():
            continue
        with safe_open(job.weights, framework="np") as file:
            train_s = float(file.metadata()["cpu_s"])
        rows.append(
            {
                "protocol": job.protocol.name,
                "steps": job.protocol.steps,
                "seed": job.seed,
                "id": job.architecture.id,
                "architecture": job.architecture.to_json(),
                "train_cpu_s": train_s,
                **json.loads(job.curve.read_text()),
            }
        )
    return pd.DataFrame(rows)


def with_costs(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with the predicted costs of each architecture."""
    model = load_default()
    costs = [
        costs_of(Architecture.from_json(text), model, DEVICE) for text in frame["architecture"]
    ]
    return frame.assign(**{name: [cost[name] for cost in costs] for name in COSTS})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs")
    parser.add_argument("work", type=Path)
    parser.add_argument("--supernet", required=True, help="what `python -m search pretrain` wrote")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    space = tabulated_space()
    missing = [job for job in jobs(space, arguments.work) if not job.curve.is_file()]
    shared = (arguments.photographs, arguments.work, arguments.supernet)
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.workers, _prepare, shared) as pool:
        for finished in pool.imap_unordered(_perform, missing):
            print(finished, flush=True)
    frame = with_costs(table(space, arguments.work))
    frame.to_parquet(arguments.work / "fidelity.parquet", index=False, compression="zstd")


if __name__ == "__main__":
    main()
