"""Agreement of the metrics on the reconstructions of a bench, and their order on JPEG.

    python -m search bench KODAK --out DIR
    python benchmarks/metrics.py DIR

Prints three tables in Markdown: Spearman's rank correlation between metrics over all
reconstructions; the median over photographs of the correlation within a photograph; and the number
of photographs on which a metric rises strictly with every step of JPEG's quality.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from search.bench.store import FILE, Store
from search.metrics import find_metric
from search.report.markdown import markdown_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="what `bench` was given as --out")
    scores = qualities(Store(parser.parse_args().folder / FILE))
    codecs = ", ".join(sorted(scores.index.unique("codec")))
    photographs = scores.groupby("photograph")
    print(f"{len(scores)} reconstructions of {len(photographs)} photographs by {codecs}\n")
    print("Spearman over all reconstructions\n")
    print(square_table(scores.corr("spearman")), "\n")
    print("Spearman within a photograph, median\n")
    within = np.median([part.corr("spearman") for _, part in photographs], axis=0)
    print(square_table(pd.DataFrame(within, scores.columns, scores.columns)), "\n")
    print("Photographs on which the metric rises with every step of JPEG's quality\n")
    jpeg = scores.xs("jpeg", level="codec").sort_index(level="quality").groupby("photograph")
    rising = pd.DataFrame([(part.diff().iloc[1:] > 0).all() for _, part in jpeg])
    rows = ([name, f"{count} of {len(jpeg)}"] for name, count in rising.sum().items())
    print(markdown_table(("metric", "photographs"), rows))


def qualities(store: Store) -> pd.DataFrame:
    """Scores that rise with quality, a column per metric and a row per reconstruction.

    Reconstructions that lack a score are left out.
    """
    rows = {
        (row.codec, row.photograph, row.quality): {
            name: find_metric(name).quality(score) for name, score in row.scores.items()
        }
        for row in store
    }
    index = pd.MultiIndex.from_tuples(rows, names=["codec", "photograph", "quality"])
    return pd.DataFrame(list(rows.values()), index=index).dropna()


def square_table(values: pd.DataFrame) -> str:
    """A table of values between metrics."""
    named = zip(values.index, values.to_numpy(), strict=True)
    rows = ([name, *(f"{value:.3f}" for value in row)] for name, row in named)
    return markdown_table(["", *values.columns], rows)


if __name__ == "__main__":
    main()
