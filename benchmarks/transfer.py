"""Whether a supernet's ranking carries over to other photographs, and how many crops it takes.

    python benchmarks/transfer.py WORK --train PHOTOS --kodak DIR --clic DIR [--supernet FILE]

Measures COUNT slices of `pico_large`, drawn as training draws them, on the crops that ship with the
package, on crops of those photographs of PHOTOS that its split holds out from training, on Kodak
and on CLIC. Prints Kendall's tau between every two sets by SSIMULACRA2 and by PSNR, with 90 %
intervals over codecs; and tau between rankings by n shipped crops and by all other crops of other
sets, over n. What is measured is kept in WORK: the same command continues. Half an hour of a core.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from ranking import tau, with_interval, written
from slices import METRICS, bd_rates, measured, searched

from search.data.images import read_rgb
from search.data.photographs import CROP, Crops, find_photographs, load_photographs
from search.data.shipped_crops import find_crops, load_crops
from search.training.pretrain import SHIPPED_SUPERNET
from search.training.supernet import drawn_subnet
from space.architecture import Architecture
from space.search_space import SearchSpace

COUNT, SEED = 40, 7
SHIPPED = "shipped crops"
OTHER_CROPS = 24
COUNTS = (4, 8, 12, 16, 24, 32, 48)
"""Numbers of shipped crops in the curve of tau."""


def chosen(space: SearchSpace) -> list[Architecture]:
    """The reference, then COUNT others."""
    rng = np.random.default_rng(SEED)
    return [space.reference, *(drawn_subnet(space, rng) for _ in range(COUNT))]


def central_crops(folder: Path, each: int) -> Crops:
    """`each` crops along the middle of every photograph of a folder."""
    crops = []
    for path in find_photographs(str(folder)):
        pixels = read_rgb(path).pixels
        y = (pixels.shape[0] - CROP) // 2
        for x in np.linspace(0, pixels.shape[1] - CROP, each + 2).astype(int)[1:-1]:
            crops.append(pixels[y : y + CROP, x : x + CROP].transpose(2, 0, 1))
    return np.stack(crops)


def sets_of(arguments: argparse.Namespace) -> dict[str, Crops]:
    """Crops by the name of their set."""
    data = load_photographs(arguments.train, 400, 1, OTHER_CROPS, arguments.work / ".crops")
    return {
        SHIPPED: load_crops(find_crops(max(COUNTS))),
        "held-out CID22": data.select,
        "Kodak": central_crops(arguments.kodak, 1),
        "CLIC": central_crops(arguments.clic, 2),
    }


def pairs(frame: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Tau of every two sets, a row per pair."""
    by_set = {str(name): rows for name, rows in frame.groupby("set", sort=False)}
    lines = {}
    for a, b in combinations(by_set, 2):
        lines[f"{a} and {b}"] = {
            metric: written(
                with_interval(tau, *(bd_rates(by_set[s], reference, metric) for s in (a, b)))
            )
            for metric in METRICS
        }
    return pd.DataFrame(lines).T


def spreads(frame: pd.DataFrame, reference: str) -> pd.DataFrame:
    """How much the codecs differ: quartiles of BD-rate in percent on every set."""
    lines = {}
    for name, rows in frame.groupby("set", sort=False):
        lines[str(name)] = {
            metric: " / ".join(
                f"{value:+.1f}"
                for value in bd_rates(rows, reference, metric).quantile(
                    [0.05, 0.25, 0.5, 0.75, 0.95]
                )
            )
            for metric in METRICS
        }
    return pd.DataFrame(lines).T


def over_crops(frame: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Tau of the first n shipped crops with the mean ranking of all other sets."""
    others = [rows for name, rows in frame.groupby("set", sort=False) if name != SHIPPED]
    shipped = frame[frame["set"] == SHIPPED]
    lines = {}
    for count in COUNTS:
        lines[count] = {
            metric: f"{tau(*aligned(shipped, others, reference, metric, count)):.2f}"
            for metric in METRICS
        }
    return pd.DataFrame(lines).T.rename_axis("shipped crops")


def aligned(
    shipped: pd.DataFrame, others: list[pd.DataFrame], reference: str, metric: str, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """BD-rates by the first `count` shipped crops, and their mean over the other sets."""
    elsewhere = pd.concat([bd_rates(rows, reference, metric) for rows in others], axis=1).mean(
        axis=1
    )
    here = bd_rates(shipped, reference, metric, range(count))
    both = pd.concat([here, elsewhere], axis=1).dropna().to_numpy()
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
    space = searched()
    frame = measured(
        chosen(space), arguments.supernet, sets_of(arguments), arguments.work, arguments.workers
    )
    reference = space.reference.id
    print("\nBD-rate (%) against the reference: 5, 25, 50, 75 and 95 % of the codecs\n")
    print(spreads(frame, reference).to_markdown())
    print("\nKendall's tau between sets of photographs\n")
    print(pairs(frame, reference).to_markdown())
    print("\nKendall's tau of the first n shipped crops with the mean of the other sets\n")
    print(over_crops(frame, reference).to_markdown())


if __name__ == "__main__":
    main()
