"""How far cheap rankings of architectures agree with full training, and what they cost.

    python benchmarks/proxy.py [TABLE]

Reads the table of `benchmarks/fidelity.py`. Prints, for every shorter protocol and for rankers that
need no training, Kendall's tau and Spearman's rho with full fidelity: overall, among the quarter
that is best there, and between architectures within 5 % of decode time. Seconds are of training, as
measuring takes the same after all; the parent's own training is not in them. Draws `proxy.png`
beside the table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from ranking import TABLE, Vector, bd_rates, compared, curve, tau, with_interval, written
from scipy.stats import spearmanr

from search.rate_distortion import bd_rate_percent
from space.architecture import Architecture

METRIC = "ssimulacra2"
RANKERS = {
    "kMAC/px": "kmac_per_px",
    "parameters": "parameters_m",
    "predicted decode time": "decode_ms",
}
"""The larger, the better they expect the codec to be."""
BAND = 0.05
NOISE_DRAWS = 2000


def rho(a: Vector, b: Vector) -> float:
    """Spearman's rank correlation."""
    return float(spearmanr(a, b).statistic)


def in_bands(scores: pd.Series, full: pd.Series, decode_ms: pd.Series) -> tuple[float, int]:
    """Concordant minus discordant, of the pairs within BAND of each other's decode time."""
    both = pd.concat([scores, full, decode_ms], axis=1, join="inner").dropna().to_numpy()
    first, second = np.triu_indices(len(both), 1)
    near = np.abs(np.log(both[first, 2] / both[second, 2])) < BAND
    signs = np.sign(both[first] - both[second])[near]
    return float((signs[:, 0] * signs[:, 1]).mean()), int(near.sum())


def seed_noise(frame: pd.DataFrame, metric: str) -> tuple[float, float, float]:
    """Deviation of a full training's BD-rate by seed, that of all architectures, and a tau.

    The tau is what two full trainings of everything would agree by on average.
    """
    first, second = (bd_rates(frame, "full", metric, seed) for seed in (0, 1))
    differences = (second - first).dropna()
    noise = float(np.sqrt((differences**2).mean() / 2))
    rng = np.random.default_rng(0)
    scores = first.dropna().to_numpy()
    again = noise * np.sqrt(2) * rng.normal(size=(NOISE_DRAWS, len(scores)))
    draws = [tau(scores, scores + difference) for difference in again]
    return noise, float(scores.std()), float(np.mean(draws))


def rankings(frame: pd.DataFrame) -> dict[str, tuple[pd.Series, float]]:
    """Scores, the lower the better, and CPU seconds for each, by name."""
    known = frame.drop_duplicates("id").set_index("id").iloc[1:]
    found = {name: (-known[column], 0.0) for name, column in RANKERS.items()}
    decoders = known["architecture"].map(lambda text: Architecture.from_json(text).decoder)
    found["narrow at stride 16"] = decoders.map(lambda chains: float(chains[0].C)), 0.0
    for protocol in compared(frame):
        rows = frame[frame["protocol"] == protocol]
        seconds = rows["train_cpu_s"].median()
        for metric in (METRIC, "psnr"):
            scores = bd_rates(frame, protocol, metric)
            found[f"{protocol}, {metric}"] = scores, float(seconds)
    return found


def rows(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per ranking."""
    full = bd_rates(frame, "full", METRIC).dropna()
    decode_ms = frame.drop_duplicates("id").set_index("id")["decode_ms"]
    best = full[full <= full.quantile(0.25)]
    found = rankings(frame)
    dear = found[f"full, {METRIC}"][1]
    lines = []
    for name, (scores, seconds) in found.items():
        if name == f"full, {METRIC}":
            continue
        band, pairs = in_bands(scores, full, decode_ms)
        lines.append(
            {
                "ranking": name,
                "tau": written(with_interval(tau, scores, full)),
                "rho": written(with_interval(rho, scores, full)),
                "tau, best quarter": written(with_interval(tau, scores, best)),
                f"tau within {BAND:.0%}": f"{band:.2f} of {pairs} pairs",
                "training, CPU s": f"{seconds:.0f}",
                "of full": f"{seconds / dear:.0%}",
            }
        )
    return pd.DataFrame(lines).set_index("ranking")


def against_linear(frame: pd.DataFrame) -> pd.DataFrame:
    """What each protocol makes of the reference, by two metrics; the linear codec has all steps."""
    linear = frame[frame["protocol"] == "linear"].iloc[0]
    of_reference = frame[frame["id"] == frame["id"].iloc[0]].set_index("protocol")

    def gain(row: pd.Series, metric: str) -> float:
        return round(bd_rate_percent(curve(linear, metric), curve(row, metric), metric), 1)

    return pd.DataFrame(
        {
            metric: {protocol: gain(row, metric) for protocol, row in of_reference.iterrows()}
            for metric in (METRIC, "psnr")
        }
    )


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Each shorter protocol's BD-rates beside those of full training."""
    full = bd_rates(frame, "full", METRIC)
    decode_ms = frame.drop_duplicates("id").set_index("id").loc[full.index, "decode_ms"]
    protocols = [name for name in compared(frame) if name != "full"]
    figure, panels = plt.subplots(
        1, len(protocols), figsize=(4 * len(protocols), 4), layout="constrained", sharey=True
    )
    for axes, protocol in zip(np.atleast_1d(panels), protocols, strict=True):
        scores = bd_rates(frame, protocol, METRIC)
        points = axes.scatter(scores, full, c=decode_ms, cmap="viridis", s=26)
        both = pd.concat([scores, full], axis=1).dropna().to_numpy()
        axes.set_title(f"{protocol}: tau {tau(both[:, 0], both[:, 1]):.2f}")
        axes.set_xlabel("BD-rate by the proxy (%)")
        axes.grid(alpha=0.25)
    np.atleast_1d(panels)[0].set_ylabel("BD-rate by full training (%)")
    figure.colorbar(points, label="predicted decode time (ms)")
    figure.savefig(path, dpi=110)


def main() -> None:
    path = Path(sys.argv[1]) if sys.argv[1:] else TABLE
    frame = pd.read_parquet(path)
    print("Agreement with the ranking by full training (90 % bootstrap intervals)\n")
    print(rows(frame).to_markdown())
    for metric in (METRIC, "psnr"):
        noise, spread, ceiling = seed_noise(frame, metric)
        print(
            f"\nFull training by {metric}: BD-rate deviates by {noise:.2f} % between seeds and by "
            f"{spread:.2f} % between architectures; trained again by other seeds, their ranking "
            f"would have a tau of {ceiling:.2f} with this one."
        )
    print("\nBD-rate (%) of the reference, against the linear transform codec of its widths\n")
    print(against_linear(frame).to_markdown())
    draw(frame, path.with_name("proxy.png"))


if __name__ == "__main__":
    main()
