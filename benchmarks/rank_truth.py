"""How well a supernet ranks codecs, compared with separate trainings of the same codecs.

    python benchmarks/rank_truth.py train PHOTOS WORK
    python benchmarks/rank_truth.py compare [SUPERNET]

`train` trains codecs of `pico_large` from their PCA initialisation by the losses and learning rates
of `quick`. They are the reference, 4 codecs in every band of decode times, and the reference with
one of the paper's choices undone; some are trained by a second seed as well. PHOTOS must not
contain the photographs from which the crops in `search/held_out` were cut. A training takes about
four minutes of a core. It is written to `rank_truth.parquet` beside this file, from which the same
command continues. `compare` measures the supernet's slices on the same crops. It prints Kendall's
tau between supernet and trainings with 90 % intervals, beside that of rankings that need no
training, and then the ablations by their trainings. For the shipped supernet it also writes the
rank fidelity that `search run` reports.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ranking import bd_rates, curves, format_interval, tau, tau_in_bands, with_interval
from slices import SPACE
from spaces import DEVICE, load_space
from stages import PAPER, ablations

from latency_predictor import load_default
from latency_predictor.checksum import write_sums
from latency_predictor.writing import write_whole
from search.config.schema import ProxyConfig
from search.costs.costs import SpaceCosts
from search.data.photographs import Crops, load_photographs
from search.data.shipped_crops import find_crops, load_crops
from search.promotion.recipe import Recipe, RecipePhase
from search.report.rank_fidelity import SHIPPED_FIDELITY, RankFidelity
from search.training.full import FullTraining, TrainingData
from search.training.pretrain import SHIPPED_SUPERNET
from search.training.start import initialisation_of, new_codec
from search.training.supernet import drawn_subnet
from search.training.validation import measure_curve
from space.architecture import Architecture
from space.codec.codec import Codec
from space.codec.precision import branches_in, fastest_branch_dtype
from space.codec.supernet import Supernet
from space.search_space import SearchSpace

TABLE = Path(__file__).with_name("rank_truth.parquet")
BANDS = (45.0, 60.0, 80.0, 105.0, 135.0, 170.0)
"""Centres in ms of the bands of decode times."""
BAND_WIDTH, PER_BAND = 0.05, 4
"""Largest relative distance of a decode time from the centre, and number of codecs per band."""
EVERY = 4
"""One in this many codecs is trained by a second seed as well."""
STEPS = 1500
SIDE = 192
"""Side of training crops in pixels: 0.6 times the cost of 256."""
RECIPE = Recipe(
    name="rank_truth", batch=2, trunk_lr=5e-4, branch_lr=6e-3, context_share=0.1, average=0.998,
    perceptual=RecipePhase(steps=STEPS, loss={"psnr": 0.75, "ssimulacra2": 0.25}),
)  # fmt: skip
"""`quick` with fewer steps."""
TRAIN_CROPS, SELECT_CROPS = 3000, 24
QUALITIES, METRICS = ProxyConfig.qualities, ProxyConfig.metrics
BASELINES = {
    "kMAC/px": "kmac_per_px",
    "parameters": "parameters_m",
    "predicted decode time": "decode_ms",
    "width at stride 16": "width",
}
"""Rankings that need no training: the larger the value, the better the codec should be."""


def banded_codecs(space: SearchSpace) -> list[Architecture]:
    """The reference, then codecs of every band in turn, drawn as training draws them."""
    rng = np.random.default_rng(0)
    costs = SpaceCosts(space, load_default(), DEVICE)
    bands: list[list[Architecture]] = [[] for _ in BANDS]
    while min(map(len, bands)) < PER_BAND:
        drawn = [drawn_subnet(space, rng) for _ in range(200)]
        of_drawn = costs.of(np.array([space.number(a) for a in drawn]))
        for architecture, decode_ms in zip(drawn, of_drawn["decode_ms"], strict=True):
            for band, centre in zip(bands, BANDS, strict=True):
                if abs(decode_ms / centre - 1) <= BAND_WIDTH and len(band) < PER_BAND:
                    band.append(architecture)
    turns = [architecture for turn in zip(*bands, strict=True) for architecture in turn]
    return [space.reference, *turns]


def jobs(space: SearchSpace) -> list[tuple[Architecture, int]]:
    """Architectures and seeds: all codecs, some again by a second seed, then the ablations."""
    codecs = banded_codecs(space)
    seconds = ((a, 1) for a in codecs[::EVERY])
    return [*((a, 0) for a in codecs), *seconds, *((a, 0) for a in ablations(space).values())]


def trained(architecture: Architecture, seed: int, crops: Crops) -> dict[str, Any]:
    """Train a codec; its CPU seconds, and its curve on the held-out crops."""
    began = time.process_time()
    codec = new_codec(initialisation_of(crops), architecture, seed)
    training = FullTraining(codec, RECIPE, TrainingData(crops, None), seed)
    with branches_in(fastest_branch_dtype(torch.device("cpu"))):
        while training.step < STEPS:
            training.advance()
    spent = time.process_time() - began
    return {"train_cpu_s": round(spent, 1), **curve_of(training.codec)}


def curve_of(codec: Codec) -> dict[str, list[float]]:
    """Bpp and metrics on the held-out crops."""
    curve = measure_curve(codec, load_crops(find_crops(SELECT_CROPS)), QUALITIES, METRICS)
    return {name: list(values) for name, values in curve.items()}


def train(photographs: str, work: Path) -> None:
    """Perform all trainings that the table lacks. Training crops are kept in `work`."""
    loaded = load_photographs(photographs, 400, TRAIN_CROPS, SELECT_CROPS, work / ".crops")
    crops = loaded.train[..., :SIDE, :SIDE]
    table = pd.read_parquet(TABLE) if TABLE.is_file() else pd.DataFrame()
    done = set(zip(table.get("id", ()), table.get("seed", ()), strict=True))
    for architecture, seed in jobs(load_space(SPACE)):
        if (architecture.id, seed) not in done:
            row = {"id": architecture.id, "architecture": architecture.to_json(), "seed": seed,
                   "steps": STEPS, **trained(architecture, seed, crops)}  # fmt: skip
            print(architecture.id, seed, row["train_cpu_s"], flush=True)
            table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
            write_whole(TABLE, table.to_parquet(index=False, compression="zstd"))


def compare(path: Path) -> None:
    """Print the tables, and record the rank fidelity of the shipped supernet."""
    space, table = load_space(SPACE), pd.read_parquet(TABLE)
    supernet = Supernet.load(path)
    codecs = {architecture.id for architecture in banded_codecs(space)}
    own = table[(table["seed"] == 0) & table["id"].isin(codecs)]
    architectures = [Architecture.from_json(text) for text in own["architecture"]]
    numbers = np.array([space.number(a) for a in architectures])
    costs = SpaceCosts(space, load_default(), DEVICE).of(numbers).set_index(own["id"].to_numpy())
    costs["width"] = [a.decoder[0].C for a in architectures]
    inherited = pd.DataFrame([{"id": a.id, **curve_of(supernet.start(a))} for a in architectures])
    lines = []
    for metric in METRICS:
        both = pd.DataFrame(
            {
                "own": of_reference(own, space, metric),
                "supernet": of_reference(inherited, space, metric),
            }
        ).drop(index=space.reference.id)
        lines += [row | {"metric": metric} for row in agreements(both.dropna(), costs)]
        if path.samefile(SHIPPED_SUPERNET):
            record(supernet, metric, both.dropna())
        print(metric, agreement_of_seeds(table, space, metric))
    print(pd.DataFrame(lines).set_index("metric").to_markdown(disable_numparse=True))
    print("\nBD-rate (%) of the reference with one choice undone, each trained apart\n")
    print(undone(table, space).to_markdown(disable_numparse=True))


def undone(table: pd.DataFrame, space: SearchSpace) -> pd.DataFrame:
    """BD-rates of the ablations that were trained, a row each, beside the paper's figure."""
    first = table[table["seed"] == 0]
    by_metric = {metric: of_reference(first, space, metric) for metric in METRICS}
    lines = {
        name: {metric: f"{rates[a.id]:+.1f}" for metric, rates in by_metric.items()}
        | {"the paper, CMMD": PAPER[name][2]}
        for name, a in ablations(space).items()
        if a.id in first["id"].to_numpy()
    }
    return pd.DataFrame(lines).T


def of_reference(frame: pd.DataFrame, space: SearchSpace, metric: str) -> pd.Series:
    """BD-rates against the reference in the same table, by architecture."""
    tested = curves(frame, metric)
    return bd_rates(tested, tested[space.reference.id], metric)


def agreements(both: pd.DataFrame, costs: pd.DataFrame) -> list[dict[str, str]]:
    """Tau of every ranking with the codecs' own trainings, overall and within bands of time."""
    rankings = {"supernet": both["supernet"]} | {
        name: -costs.loc[both.index, column] for name, column in BASELINES.items()
    }
    decode_ms = costs.loc[both.index, "decode_ms"]
    return [
        {
            "ranking": name,
            "tau": format_interval(with_interval(tau, scores, both["own"])),
            "tau within a band": format_interval(
                with_interval(tau_in_bands, scores, both["own"], decode_ms)
            ),
            "codecs": str(len(both)),
        }
        for name, scores in rankings.items()
    ]


def agreement_of_seeds(table: pd.DataFrame, space: SearchSpace, metric: str) -> str:
    """Tau between both seeds, over the codecs that have two."""
    by_seed = [curves(table[table["seed"] == seed], metric) for seed in (0, 1)]
    anchor = by_seed[0][space.reference.id]
    rates = [bd_rates(tested, anchor, metric) for tested in by_seed]
    first, second = pd.concat(rates, axis=1).dropna().to_numpy().T
    if len(first) < 3:
        return f"{len(first)} codecs by two seeds"
    return f"{len(first)} codecs by two seeds agree with tau {tau(first, second):.2f}"


def record(supernet: Supernet, metric: str, both: pd.DataFrame) -> None:
    """Write the rank fidelity that `search run` reports for this supernet and metric."""
    value, low, high = with_interval(tau, both["supernet"], both["own"])
    known = json.loads(SHIPPED_FIDELITY.read_text()) if SHIPPED_FIDELITY.is_file() else []
    others = [r for r in known if (r["supernet"], r["metric"]) != (supernet.digest, metric)]
    others = [r for r in others if r["supernet"] == supernet.digest]
    measured = RankFidelity(
        supernet=supernet.digest, space=SPACE, metric=metric,
        tau=round(value, 3), low=round(low, 3), high=round(high, 3), codecs=len(both),
        against=f"the same codecs trained from their own start for {STEPS} steps",
        command="python benchmarks/rank_truth.py compare",
        photographs=f"{SELECT_CROPS} crops of CC0 photographs in search/held_out",
    )  # fmt: skip
    write_whole(SHIPPED_FIDELITY, json.dumps([*others, asdict(measured)], indent=1).encode())
    write_sums([SHIPPED_FIDELITY, SHIPPED_SUPERNET])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("photographs")
    training.add_argument("work", type=Path)
    comparing = commands.add_parser("compare")
    comparing.add_argument("supernet", type=Path, nargs="?", default=SHIPPED_SUPERNET)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.command == "train":
        train(arguments.photographs, arguments.work)
    else:
        compare(arguments.supernet)


if __name__ == "__main__":
    main()
