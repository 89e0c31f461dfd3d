"""Agreement of the metrics on the reconstructions of a bench, and their sanity on JPEG.

    python -m search bench KODAK --out DIR
    python benchmarks/metrics.py DIR

Prints three tables in Markdown: Spearman's rank correlation between metrics over all
reconstructions; its median over photographs, within each; and on how many photographs a metric
rises strictly with every step of JPEG's quality.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from search.bench.store import FILE, Store
from search.metrics import find


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what `bench` was given as --out")
    scores = qualities(Store(parser.parse_args().folder / FILE))
    codecs = ", ".join(sorted(scores.index.unique("codec")))
    photographs = scores.groupby("photograph")
    print(f"{len(scores)} reconstructions of {len(photographs)} photographs by {codecs}\n")
    print("Spearman over all reconstructions\n")
    print(matrix(scores.corr("spearman")), "\n")
    print("Spearman within a photograph, median\n")
    within = np.median([part.corr("spearman") for _, part in photographs], axis=0)
    print(matrix(pd.DataFrame(within, scores.columns, scores.columns)), "\n")
    print("Photographs on which the metric rises with every step of JPEG's quality\n")
    jpeg = scores.xs("jpeg", level="codec").sort_index(level="quality").groupby("photograph")
    rises = jpeg.agg(lambda column: (np.diff(column) > 0).all()).sum()
    print("| metric | photographs |\n| --- | --- |")
    for name, count in rises.items():
        print(f"| {name} | {count} of {len(jpeg)} |")


def qualities(store: Store) -> pd.DataFrame:
    """A column per metric, rising with quality; reconstructions that lack one are left out."""
    rows = {
        (row.codec, row.photograph, row.quality): {
            name: find(name).quality(score) for name, score in row.scores.items()
        }
        for row in store
    }
    index = pd.MultiIndex.from_tuples(rows, names=["codec", "photograph", "quality"])
    return pd.DataFrame(list(rows.values()), index=index).dropna()


def matrix(values: pd.DataFrame) -> str:
    heads = "| | " + " | ".join(values.columns) + " |\n" + "| --- " * (len(values) + 1) + "|"
    lines = (
        f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + " |"
        for name, row in zip(values.index, values.to_numpy(), strict=True)
    )
    return "\n".join([heads, *lines])


if __name__ == "__main__":
    main()
