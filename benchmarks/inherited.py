"""A table of all codecs of `pico_small` as slices of the shipped supernet.

    python benchmarks/inherited.py WORK [--workers 1]

Measures all 600 architectures on COUNT of the shipped crops and writes `inherited.parquet` beside
this file: a row per architecture with its id and its BD-rates in percent against the reference, by
SSIMULACRA2 and by PSNR. Measurements are kept in WORK, which
belongs to one supernet and one state of the code; the same command continues. `samplers.py` reads
the table. Takes half an hour of a core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from slices import METRICS, measured, slice_bd_rates
from spaces import load_space

from latency_predictor.writing import write_whole
from search.data.shipped_crops import find_crops, load_crops
from search.training.pretrain import SHIPPED_SUPERNET

TABLE = Path(__file__).with_name("inherited.parquet")
SPACE = "pico_small"
COUNT = 4
"""Number of shipped crops. Few are enough, because samplers are compared on one fixed table."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    space = load_space(SPACE)
    numbers = np.arange(space.size)
    architectures = [space.architecture(number) for number in numbers]
    crops = {"shipped": load_crops(find_crops(COUNT))}
    frame = measured(architectures, SHIPPED_SUPERNET, crops, arguments.work, arguments.workers)
    table = pd.DataFrame({"id": [a.id for a in architectures]})
    for metric in METRICS:
        table[f"bd_rate_{metric}"] = table["id"].map(
            slice_bd_rates(frame, space.reference.id, metric)
        )
    write_whole(TABLE, table.to_parquet(index=False, compression="zstd"))
    print(f"{len(table)} codecs, {table.isna().any(axis=1).sum()} without a BD-rate: {TABLE.name}")


if __name__ == "__main__":
    main()
