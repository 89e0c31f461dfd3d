"""Whether a supernet's ranking carries over to other photographs, and how many crops it needs.

    python benchmarks/transfer.py WORK --train PHOTOS --kodak DIR --clic DIR [--supernet FILE]

Measures 40 slices of `pico_large`, drawn as training draws them, on four sets of crops: the crops
that ship with the package, crops of those photographs in PHOTOS that the split holds out from
training, Kodak, and CLIC. By SSIMULACRA2 and by PSNR, it prints Kendall's tau between every two
sets, with 90 % intervals over codecs, and tau between the ranking by the first n shipped crops and
the mean ranking by the other sets, for several n. Measurements are kept in WORK, and the same
command continues there. The whole takes half an hour of a core.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from ranking import format_interval, tau, with_interval
from slices import METRICS, SPACE, measured, slice_bd_rates
from spaces import load_space

from search.data.images import read_rgb
from search.data.photographs import CROP, Crops, find_photographs, load_photographs
from search.data.shipped_crops import find_crops, load_crops
from search.training.pretrain import SHIPPED_SUPERNET
from search.training.supernet import drawn_subnet
from space.architecture import Architecture
from space.search_space import SearchSpace

COUNT, SEED = 40, 7
"""Number of codecs besides the reference, and the seed that draws them."""
SHIPPED = "shipped crops"
"""Name of the set that ships with the package."""
OTHER_CROPS = 24
"""Number of crops of photographs held out from training."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of BD-rates that are printed."""
COUNTS = (4, 8, 12, 16, 24, 32, 48)
"""Numbers of shipped crops by which codecs are ranked."""


def drawn_codecs(space: SearchSpace) -> list[Architecture]:
    """The reference, then COUNT random codecs."""
    rng = np.random.default_rng(SEED)
    return [space.reference, *(drawn_subnet(space, rng) for _ in range(COUNT))]


def central_crops(folder: Path, each: int) -> Crops:
    """`each` crops per photograph of a folder, evenly spaced along its horizontal middle."""
    crops = []
    for path in find_photographs(str(folder)):
        pixels = read_rgb(path).pixels
        y = (pixels.shape[0] - CROP) // 2
        for x in np.linspace(0, pixels.shape[1] - CROP, each + 2).astype(int)[1:-1]:
            crops.append(pixels[y : y + CROP, x : x + CROP].transpose(2, 0, 1))
    return np.stack(crops)


def crop_sets(arguments: argparse.Namespace) -> dict[str, Crops]:
    """The crops of every set, by name."""
    data = load_photographs(arguments.train, 400, 1, OTHER_CROPS, arguments.work / ".crops")
    return {
        SHIPPED: load_crops(find_crops(max(COUNTS))),
        "held-out CID22": data.select,
        "Kodak": central_crops(arguments.kodak, 1),
        "CLIC": central_crops(arguments.clic, 2),
    }


def agreement(frame: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Tau between every two sets, a row per pair."""
    by_set = {str(name): rows for name, rows in frame.groupby("set", sort=False)}
    lines = {}
    for a, b in combinations(by_set, 2):
        lines[f"{a} and {b}"] = {
            metric: format_interval(
                with_interval(tau, *(slice_bd_rates(by_set[s], reference, metric) for s in (a, b)))
            )
            for metric in METRICS
        }
    return pd.DataFrame(lines).T


def spreads(frame: pd.DataFrame, reference: str) -> pd.DataFrame:
    """QUANTILES of the codecs' BD-rates in percent, on every set."""
    lines = {}
    for name, rows in frame.groupby("set", sort=False):
        lines[str(name)] = {
            metric: " / ".join(
                f"{value:+.1f}"
                for value in slice_bd_rates(rows, reference, metric).quantile(list(QUANTILES))
            )
            for metric in METRICS
        }
    return pd.DataFrame(lines).T


def over_crops(frame: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Tau between rankings by the first n shipped crops and by the mean of the other sets."""
    others = [rows for name, rows in frame.groupby("set", sort=False) if name != SHIPPED]
    shipped = frame[frame["set"] == SHIPPED]
    lines = {}
    for count in COUNTS:
        lines[count] = {
            metric: f"{tau(*shipped_and_others(shipped, others, reference, metric, count)):.2f}"
            for metric in METRICS
        }
    return pd.DataFrame(lines).T.rename_axis("shipped crops")


def shipped_and_others(
    shipped: pd.DataFrame, others: list[pd.DataFrame], reference: str, metric: str, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """BD-rates by the first `count` shipped crops, and their mean over the other sets."""
    on_others = [slice_bd_rates(rows, reference, metric) for rows in others]
    mean = pd.concat(on_others, axis=1).mean(axis=1)
    on_shipped = slice_bd_rates(shipped, reference, metric, range(count))
    both = pd.concat([on_shipped, mean], axis=1).dropna().to_numpy()
    return both[:, 0], both[:, 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--train", required=True)
    parser.add_argument("--kodak", type=Path, required=True)
    parser.add_argument("--clic", type=Path, required=True)
    parser.add_argument("--supernet", type=Path, default=SHIPPED_SUPERNET)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    space = load_space(SPACE)
    codecs, sets = drawn_codecs(space), crop_sets(arguments)
    frame = measured(codecs, arguments.supernet, sets, arguments.work, arguments.workers)
    reference = space.reference.id
    print("\nBD-rate (%) against the reference: percentiles 5, 25, 50, 75 and 95 over the codecs\n")
    print(spreads(frame, reference).to_markdown(disable_numparse=True))
    print("\nKendall's tau between sets of photographs\n")
    print(agreement(frame, reference).to_markdown(disable_numparse=True))
    print("\nKendall's tau of the first n shipped crops with the mean of the other sets\n")
    print(over_crops(frame, reference).to_markdown(disable_numparse=True))


if __name__ == "__main__":
    main()
