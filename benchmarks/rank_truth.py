"""How well a supernet ranks codecs: against the same codecs, each trained from its own start.

    python benchmarks/rank_truth.py train PHOTOS WORK
    python benchmarks/rank_truth.py compare [SUPERNET]

`train` trains codecs of `pico_large`, PER_BAND in every band of decode times, its reference, and
the reference with one of the paper's choices undone, from their PCA initialisation by the losses
and rates of `quick`; some of them by a second seed too. PHOTOS must not hold the photographs that
`search/held_out` is of. Each takes about four minutes of a core and is written to
`rank_truth.parquet` beside this file, from which the same command continues. `compare` measures
the supernet's slices on the same crops and prints Kendall's tau with 90 % intervals, beside
rankings that need no training, and writes what `search run` says of the shipped supernet; then the
ablations as they were trained apart.
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
from ranking import in_bands, tau, with_interval, written
from slices import DEVICE, SPACE, searched
from stages import PAPER, ablations

from latency_predictor import load_default
from search.config.schema import ProxyConfig
from search.costs.costs import SpaceCosts
from search.data.photographs import Crops, load_photographs
from search.data.shipped_crops import find_crops, load_crops
from search.metrics.rate_distortion import CurveError, bd_rate_percent
from search.promotion.recipe import Phase, Recipe
from search.report.rank_fidelity import SHIPPED_FIDELITY, RankFidelity
from search.training.full import FullTraining, TrainingData
from search.training.pretrain import SHIPPED_SUPERNET
from search.training.start import initialisation_of
from search.training.supernet import drawn_subnet
from search.training.validation import measure
from space.architecture import Architecture
from space.codec.precision import branches_in, fastest_branch_dtype
from space.codec.supernet import Supernet
from space.search_space import SearchSpace
from space.storage.writing import write_whole

TABLE = Path(__file__).with_name("rank_truth.parquet")
BANDS = (45.0, 60.0, 80.0, 105.0, 135.0, 170.0)
"""Decode times in ms; codecs of a band lie within BAND_WIDTH of it."""
BAND_WIDTH, PER_BAND = 0.05, 4
SECOND_SEED = 4
"""One in so many codecs is trained by a second seed as well."""
STEPS = 1500
SIDE = 192
"""Side of training crops in pixels: 0.6 times the cost of 256."""
RECIPE = Recipe(
    name="rank_truth", batch=2, trunk_lr=5e-4, branch_lr=6e-3, context_share=0.1, average=0.998,
    perceptual=Phase(steps=STEPS, loss={"psnr": 0.75, "ssimulacra2": 0.25}),
)  # fmt: skip
"""`quick`, shorter."""
TRAIN_CROPS, SELECT_CROPS = 3000, 24
QUALITIES, METRICS = ProxyConfig.qualities, ProxyConfig.metrics
BASELINES = {
    "kMAC/px": "kmac_per_px",
    "parameters": "parameters_m",
    "predicted decode time": "decode_ms",
    "width at stride 16": "width",
}
"""Rankings that need no training; the larger, the better they expect a codec to be."""


def chosen(space: SearchSpace) -> list[Architecture]:
    """The reference, then the codecs, one of every band in turn, drawn as training draws them."""
    rng = np.random.default_rng(0)
    prices = SpaceCosts(space, load_default(), DEVICE)
    bands: list[list[Architecture]] = [[] for _ in BANDS]
    while min(map(len, bands)) < PER_BAND:
        drawn = [drawn_subnet(space, rng) for _ in range(200)]
        costs = prices.of(np.array([space.number(a) for a in drawn]))
        for architecture, decode_ms in zip(drawn, costs["decode_ms"], strict=True):
            for band, centre in zip(bands, BANDS, strict=True):
                if abs(decode_ms / centre - 1) <= BAND_WIDTH and len(band) < PER_BAND:
                    band.append(architecture)
    turns = [architecture for turn in zip(*bands, strict=True) for architecture in turn]
    return [space.reference, *turns]


def jobs(space: SearchSpace) -> list[tuple[Architecture, int]]:
    """Architectures and seeds: codecs, some of them by a second seed, then ablations."""
    codecs = chosen(space)
    seconds = ((a, 1) for a in codecs[::SECOND_SEED])
    return [*((a, 0) for a in codecs), *seconds, *((a, 0) for a in ablations(space).values())]


def trained(architecture: Architecture, seed: int, crops: Crops) -> dict[str, Any]:
    """One training: CPU seconds, and the curves on the held-out crops."""
    began = time.process_time()
    torch.manual_seed(seed)
    codec = initialisation_of(crops).start(architecture).to(memory_format=torch.channels_last)
    training = FullTraining(codec, RECIPE, TrainingData(crops, None), seed)
    with branches_in(fastest_branch_dtype(torch.device("cpu"))):
        while training.step < STEPS:
            training.advance()
    spent = time.process_time() - began
    return {"train_cpu_s": round(spent, 1), **curve_of(training.codec)}


def curve_of(codec: torch.nn.Module) -> dict[str, list[float]]:
    """Bpp and metrics on the held-out crops."""
    curve, _ = measure(codec, load_crops(find_crops(SELECT_CROPS)), QUALITIES, METRICS)  # type: ignore[arg-type]
    return {name: list(values) for name, values in curve.items()}


def train(photographs: str, work: Path) -> None:
    """All trainings that the table does not have yet; crops are kept in WORK."""
    loaded = load_photographs(photographs, 400, TRAIN_CROPS, SELECT_CROPS, work / ".crops")
    crops = loaded.train[..., :SIDE, :SIDE]
    table = pd.read_parquet(TABLE) if TABLE.is_file() else pd.DataFrame()
    done = set(zip(table.get("id", ()), table.get("seed", ()), strict=True))
    for architecture, seed in jobs(searched()):
        if (architecture.id, seed) not in done:
            row = {"id": architecture.id, "architecture": architecture.to_json(), "seed": seed,
                   "steps": STEPS, **trained(architecture, seed, crops)}  # fmt: skip
            print(architecture.id, seed, row["train_cpu_s"], flush=True)
            table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
            write_whole(TABLE, table.to_parquet(index=False, compression="zstd"))


def rates(frame: pd.DataFrame, anchor: dict[str, Any], metric: str) -> pd.Series:
    """BD-rates by id against a curve; NaN where there is none."""
    found = {}
    for row in frame.to_dict("records"):
        try:
            found[row["id"]] = bd_rate_percent(anchor, row, metric)
        except CurveError:
            found[row["id"]] = np.nan
    return pd.Series(found, dtype=float)


def compare(path: Path) -> None:
    """Tables, and the record of the shipped supernet."""
    space, table = searched(), pd.read_parquet(TABLE)
    supernet = Supernet.load(path)
    codecs = {architecture.id for architecture in chosen(space)}
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
        lines += [row | {"metric": metric} for row in against(both.dropna(), costs)]
        if path == SHIPPED_SUPERNET:
            record(supernet, metric, both.dropna())
        print(metric, agreement_of_seeds(table, space, metric))
    print(pd.DataFrame(lines).set_index(["metric", "ranking"]).to_markdown())
    print("\nBD-rate (%) of the reference with one choice undone, each trained apart\n")
    print(undone(table, space).to_markdown())


def undone(table: pd.DataFrame, space: SearchSpace) -> pd.DataFrame:
    """A row per ablation that was trained, beside the paper's figure."""
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
    """BD-rates against the reference of the same kind of training."""
    anchor = frame[frame["id"] == space.reference.id].iloc[0].to_dict()
    return rates(frame, anchor, metric)


def against(both: pd.DataFrame, costs: pd.DataFrame) -> list[dict[str, str]]:
    """A row per ranking: tau with the codecs' own trainings, overall and within bands."""
    rankings = {"supernet": both["supernet"]} | {
        name: -costs.loc[both.index, column] for name, column in BASELINES.items()
    }
    decode_ms = costs.loc[both.index, "decode_ms"]
    return [
        {
            "ranking": name,
            "tau": written(with_interval(tau, scores, both["own"])),
            "tau within a band": written(with_interval(in_bands, scores, both["own"], decode_ms)),
            "codecs": str(len(both)),
        }
        for name, scores in rankings.items()
    ]


def agreement_of_seeds(table: pd.DataFrame, space: SearchSpace, metric: str) -> str:
    """Tau between both seeds, of those codecs that have two."""
    anchor = table[(table["id"] == space.reference.id) & (table["seed"] == 0)].iloc[0].to_dict()
    seeds = [rates(table[table["seed"] == seed], anchor, metric) for seed in (0, 1)]
    pair = pd.concat(seeds, axis=1, keys=["first", "second"]).dropna()
    if len(pair) < 3:
        return f"{len(pair)} codecs by two seeds"
    return (
        f"{len(pair)} codecs by two seeds agree with tau {tau(pair['first'], pair['second']):.2f}"
    )


def record(supernet: Supernet, metric: str, both: pd.DataFrame) -> None:
    """Write what `search run` says of this supernet by this metric."""
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
