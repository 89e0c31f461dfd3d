"""Whether ranking architectures by PSNR ranks them by what people see.

    python benchmarks/perception.py [TABLE]

Reads the table of `benchmarks/fidelity.py`. Prints four kinds of tables: Kendall's tau between
BD-rates by PSNR and by every other metric, at every fidelity; tau between all metrics at full
fidelity; the BD-rate that each metric loses if another metric chooses the architecture; and the
BD-rate that training on a perceptual loss gains.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from fidelity import METRICS
from ranking import (
    FIDELITIES,
    common_protocols,
    curves,
    format_interval,
    protocol_bd_rates,
    read_fidelities,
    tau,
    with_interval,
)

from search.metrics.rate_distortion import bd_rate_percent

BANDS = 4
"""Number of equal groups of architectures by decode time. In each of them one is chosen."""


def agreement(frame: pd.DataFrame, protocols: list[str]) -> pd.DataFrame:
    """Tau of every metric with PSNR, a column per protocol."""
    rows = {}
    for metric in METRICS[1:]:
        rows[metric] = {
            protocol: format_interval(
                with_interval(
                    tau,
                    protocol_bd_rates(frame, protocol, "psnr"),
                    protocol_bd_rates(frame, protocol, metric),
                )
            )
            for protocol in protocols
        }
    return pd.DataFrame(rows).T


def all_bd_rates(frame: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """BD-rates against the reference, a row per architecture and a column per metric."""
    return pd.DataFrame({metric: protocol_bd_rates(frame, protocol, metric) for metric in METRICS})


def metric_agreement(frame: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Tau between all metrics."""
    return all_bd_rates(frame, protocol).dropna().corr(method="kendall").round(2)


def regret(frame: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Mean BD-rate at full fidelity, by the row's metric, that the column's choices lose.

    In each band of decode time the column's metric chooses one architecture by `protocol`. At full
    fidelity a metric's own choice loses nothing by definition, although it includes the noise of
    one seed.
    """
    of_full = frame[frame["protocol"] == "full"].drop_duplicates("id").set_index("id")
    full, at = all_bd_rates(frame, "full"), all_bd_rates(frame, protocol)
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


def perceptual_training(frame: pd.DataFrame) -> pd.DataFrame:
    """BD-rate, by each metric, of training on the perceptual loss against the squared error.

    Both have the same start, steps and seed. There is a row per architecture, and their mean.
    """
    perceptual, squared = (
        frame[frame["protocol"] == protocol]
        for protocol in ("supernet-50-perceptual", "supernet-50")
    )
    rates = {}
    for metric in METRICS:
        anchors = curves(squared, metric)
        rates[metric] = {
            identity: bd_rate_percent(anchors[identity], curve, metric)
            for identity, curve in curves(perceptual, metric).items()
        }
    table = pd.DataFrame(rates)
    table.loc["mean"] = table.mean()
    return table.round(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, nargs="?", default=FIDELITIES)
    frame = read_fidelities(parser.parse_args().table)
    protocols = common_protocols(frame)
    print("Kendall's tau with the ranking by PSNR (90 % bootstrap intervals)\n")
    print(agreement(frame, protocols).to_markdown(disable_numparse=True))
    print("\nKendall's tau between metrics, full fidelity\n")
    print(metric_agreement(frame, "full").to_markdown(disable_numparse=True))
    for protocol in protocols:
        print(
            f"\nBD-rate (%) lost in the row's metric if *{protocol}* selects by the column's "
            "metric\n"
        )
        print(regret(frame, protocol).to_markdown(disable_numparse=True))
    print("\nBD-rate (%) of 50 steps on `proxy=perceptual` against 50 on `proxy=psnr`\n")
    print(perceptual_training(frame).to_markdown(disable_numparse=True))


if __name__ == "__main__":
    main()
