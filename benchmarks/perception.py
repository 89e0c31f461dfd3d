"""Whether ranking architectures by PSNR ranks them by what people see.

    python benchmarks/perception.py [TABLE]

Reads the table of `benchmarks/fidelity.py`. Prints Kendall's tau between BD-rates by PSNR and by
every other metric, at every fidelity; between all metrics at full fidelity; and what it costs, by
each metric, to let another choose; and what training on a perceptual loss gains.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from fidelity import METRICS
from ranking import TABLE, bd_rates, compared, curve, tau, with_interval, written

from search.metrics.rate_distortion import bd_rate_percent

BANDS = 4
"""Equal groups of architectures by decode time, in each of which one is chosen."""


def agreement(frame: pd.DataFrame, protocols: list[str]) -> pd.DataFrame:
    """Tau of every metric with PSNR, a column per protocol."""
    rows = {}
    for metric in METRICS[1:]:
        rows[metric] = {
            protocol: written(
                with_interval(
                    tau, bd_rates(frame, protocol, "psnr"), bd_rates(frame, protocol, metric)
                )
            )
            for protocol in protocols
        }
    return pd.DataFrame(rows).T


def matrix(frame: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Tau between all metrics."""
    rates = pd.DataFrame({m: bd_rates(frame, protocol, m) for m in METRICS}).dropna()
    return rates.corr(method="kendall").round(2)


def regret(frame: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Mean BD-rate, by each metric at full fidelity, lost by other choices than its own.

    In each band of decode time one architecture is chosen by the column's metric. At full fidelity
    a metric's own choice loses nothing by definition, the noise of one seed included.
    """
    of_full = frame[frame["protocol"] == "full"].drop_duplicates("id").set_index("id")
    full, at = (
        pd.DataFrame({m: bd_rates(frame, p, m) for m in METRICS}) for p in ("full", protocol)
    )
    known = full.index[(full.notna() & at.notna()).all(axis=1)]
    full, at = full.loc[known], at.loc[known]
    band = pd.qcut(of_full.loc[full.index, "decode_ms"], BANDS, labels=False)
    lost = {}
    for judge in METRICS:
        best = full[judge].groupby(band).min()
        lost[judge] = {
            f"by {chooser}": np.mean(
                [full.loc[at[chooser][band == b].idxmin(), judge] - best[b] for b in range(BANDS)]
            )
            for chooser in METRICS
        }
    return pd.DataFrame(lost).T.round(1)


def trained_on(frame: pd.DataFrame) -> pd.DataFrame:
    """BD-rate, by each metric, of training on the perceptual loss against the squared error.

    The same start, steps and seed; a row per architecture and their mean.
    """
    perceptual, squared = (
        frame[frame["protocol"] == protocol].set_index("id")
        for protocol in ("supernet-50-perceptual", "supernet-50")
    )
    rates = {
        identity: {
            metric: bd_rate_percent(
                curve(squared.loc[identity], metric), curve(row, metric), metric
            )
            for metric in METRICS
        }
        for identity, row in perceptual.iterrows()
    }
    table = pd.DataFrame(rates).T
    table.loc["mean"] = table.mean()
    return table.round(1)


def main() -> None:
    frame = pd.read_parquet(Path(sys.argv[1]) if sys.argv[1:] else TABLE)
    protocols = compared(frame)
    print("Kendall's tau with the ranking by PSNR (90 % bootstrap intervals)\n")
    print(agreement(frame, protocols).to_markdown())
    print("\nKendall's tau between metrics, full fidelity\n")
    print(matrix(frame, "full").to_markdown())
    for protocol in protocols:
        print(f"\nBD-rate (%) lost by the row's metric where {protocol} chooses by the column's\n")
        print(regret(frame, protocol).to_markdown())
    print("\nBD-rate (%) of 50 steps on `proxy=perceptual` against 50 on `proxy=psnr`\n")
    print(trained_on(frame).to_markdown())


if __name__ == "__main__":
    main()
