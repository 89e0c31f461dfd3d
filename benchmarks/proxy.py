"""How far cheap rankings of architectures agree with full training, and what they cost.

    python benchmarks/proxy.py [TABLE]

Reads the table of `benchmarks/table.py`; full fidelity is its last rung. By two metrics, it prints
for every rung, and for rankings that need no training, Kendall's tau and Spearman's rho with full
fidelity: overall, within the quarter that is best there, and between architectures within 5 % of
decode time. Then it prints the agreement of some rungs with codecs that were trained jointly from
the initialisation, which share no weights (`benchmarks/fidelity.py`); how much seeds differ; and
what the reference gains on the linear transform codec. Seconds are those of training. Measuring
takes equally long for all, and the supernet's own training is not included. `proxy.png` is drawn
beside the table.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from ranking import (
    BAND,
    FIDELITIES,
    Ranking,
    bd_rates,
    curves,
    format_interval,
    protocol_bd_rates,
    read_fidelities,
    rho,
    tau,
    tau_in_bands,
    with_interval,
)
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from spaces import DEVICE, tabulated_space, without_blocks

from latency_predictor import load_default
from search.costs.costs import SpaceCosts
from search.metrics.rate_distortion import Curve, bd_rate_percent
from space.architecture import Architecture
from space.search_space import from_architecture

TABLE = Path(__file__).with_name("pico_small.parquet")
METRICS = ("ssimulacra2", "psnr")
COSTS = {
    "kMAC/px": "kmac_per_px",
    "parameters": "parameters_m",
    "predicted decode time": "decode_ms",
}
"""Rankings by a cost: the larger it is, the better the codec is expected to be."""
NOISE_DRAWS = 2000
"""Simulated repetitions of all full trainings."""


class CodecTable:
    """The table of `table.py`, the costs of its architectures, and BD-rates of its rungs."""

    def __init__(self, path: Path) -> None:
        self.frame = pd.read_parquet(path)
        space = tabulated_space()
        self.reference = space.reference
        costs = SpaceCosts(space, load_default(), DEVICE).of(np.arange(space.size))
        costs.index = pd.Index([space.architecture(n).id for n in range(space.size)])
        self.costs = costs
        self.rungs = sorted(self.frame["steps"].unique())

    def rows(self, steps: int, seed: int = 0) -> pd.DataFrame:
        """The rows of a rung by one seed."""
        return self.frame[(self.frame["steps"] == steps) & (self.frame["seed"] == seed)]

    def curve(self, identity: str, steps: int, metric: str) -> Curve:
        """The curve of an architecture at a rung, by seed 0."""
        rows = self.rows(steps)
        return curves(rows[rows["id"] == identity], metric)[identity]

    def bd_rates(self, steps: int, metric: str, seed: int = 0) -> pd.Series:
        """BD-rates at a rung against the reference, which is left out, by architecture.

        Only architectures of the space are included.
        """
        anchor = self.curve(self.reference.id, steps, metric)
        rows = self.rows(steps, seed)
        tested = rows["id"].isin(self.costs.index) & (rows["id"] != self.reference.id)
        return bd_rates(curves(rows[tested], metric), anchor, metric)

    def seconds(self, steps: int) -> float:
        """Median CPU seconds of training until a rung."""
        rows = self.frame[self.frame["steps"] == steps]
        return float(rows["train_cpu_s"].median()) if steps else 0.0


def rankings(table: CodecTable, metric: str, full: pd.Series) -> dict[str, Ranking]:
    """Rankings, by name, of the architectures whose full training has the BD-rates `full`."""
    costs = table.costs.loc[full.index]
    found = {name: Ranking(-costs[column]) for name, column in COSTS.items()}
    points = features(table, full.index)
    found["narrow at stride 16"] = Ranking(points["decoder.16.C"])
    found["corrected architecture"] = Ranking(corrected(points, full))
    for steps in table.rungs[:-1]:
        name = f"{steps} steps" if steps else "inherited"
        rates, seconds = table.bd_rates(steps, metric)[full.index], table.seconds(steps)
        found[name] = Ranking(rates, seconds)
        found[f"{name}, corrected"] = Ranking(corrected(points.assign(rate=rates), full), seconds)
        if steps:
            losses = table.rows(steps).set_index("id").loc[full.index, "summed_loss"]
            found[f"{name}, summed loss"] = Ranking(losses, seconds)
    return found


def features(table: CodecTable, identities: pd.Index) -> pd.DataFrame:
    """Parameters that differ between the architectures, a row per architecture."""
    known = table.frame.drop_duplicates("id").set_index("id")["architecture"]
    points = pd.DataFrame(
        {i: from_architecture(Architecture.from_json(known[i])) for i in identities}
    ).T
    return points.loc[:, points.nunique() > 1].astype(float)


def corrected(points: pd.DataFrame, full: pd.Series) -> pd.Series:
    """Full BD-rates as predicted by linear models, each fitted to all other architectures."""
    both = points.assign(full=full).dropna()
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 16)))
    predicted = cross_val_predict(model, both[points.columns], both["full"], cv=LeaveOneOut())
    return pd.Series(predicted, both.index)


def agreement(found: dict[str, Ranking], full: pd.Series, table: CodecTable) -> pd.DataFrame:
    """Agreement with full fidelity and costs, a row per ranking."""
    decode_ms = table.costs["decode_ms"]
    full_s = table.seconds(table.rungs[-1])
    best = full[full <= full.quantile(0.25)]
    lines = {}
    for name, ranking in found.items():
        scores = ranking.scores
        in_bands = with_interval(tau_in_bands, scores, full, decode_ms)
        lines[name] = {
            "tau": format_interval(with_interval(tau, scores, full)),
            "rho": format_interval(with_interval(rho, scores, full)),
            "tau, best quarter": format_interval(with_interval(tau, scores, best)),
            f"tau within {BAND:.0%}": format_interval(in_bands),
            "CPU s": f"{ranking.cpu_s:.1f}",
            "of full": f"{ranking.cpu_s / full_s:.0%}",
        }
    return pd.DataFrame(lines).T


def seed_noise(table: CodecTable, metric: str) -> str:
    """How much seeds differ compared to architectures, and the tau between two full trainings."""
    full = table.rungs[-1]
    first, second = (table.bd_rates(full, metric, seed) for seed in (0, 1))
    differences = (second - first).dropna()
    noise = float(np.sqrt((differences**2).mean() / 2))
    rng = np.random.default_rng(0)
    scores = first.dropna().to_numpy()
    again = noise * np.sqrt(2) * rng.normal(size=(NOISE_DRAWS, len(scores)))
    repeated_tau = float(np.mean([tau(scores, scores + difference) for difference in again]))
    return (
        f"By {metric}, the standard deviation of the BD-rate is {noise:.2f} % between seeds "
        f"({len(differences)} pairs) and {scores.std():.2f} % between architectures. A second "
        "training from the same supernet with other seeds would give a ranking with a tau of "
        f"{repeated_tau:.2f} to this one."
    )


def against_joint(table: CodecTable) -> pd.DataFrame:
    """Tau of every rung with 400 joint steps from the initialisation."""
    joint = read_fidelities(FIDELITIES)
    lines: dict[str, dict[str, str]] = {}
    for metric in METRICS:
        full = protocol_bd_rates(joint, "full", metric)
        for steps in table.rungs:
            agreed = with_interval(tau, table.bd_rates(steps, metric), full)
            lines.setdefault(f"{steps} steps", {})[metric] = format_interval(agreed)
    return pd.DataFrame(lines).T


def against_linear(table: CodecTable) -> pd.DataFrame:
    """BD-rates of the reference, and of the best as inherited, against linear transforms."""
    joint = read_fidelities(FIDELITIES)
    linear = joint[joint["protocol"] == "linear"]
    reference = table.reference
    linear_decoder = replace(reference, decoder=without_blocks(reference.decoder))
    lines: dict[str, dict[str, float]] = {}
    for metric in METRICS:
        anchors = {
            "linear decoder of the same supernet": table.curve(linear_decoder.id, 0, metric),
            "linear codec, 400 joint steps": curves(linear, metric)[linear["id"].iloc[0]],
        }
        best = str(table.bd_rates(0, metric).idxmin())
        tested = {
            f"reference, {n} steps": table.curve(reference.id, n, metric) for n in table.rungs
        }
        tested[f"best by {metric}, inherited"] = table.curve(best, 0, metric)
        for name, curve in tested.items():
            lines.setdefault(name, {}).update(
                {
                    f"{metric}, {of}": round(bd_rate_percent(anchor, curve, metric), 1)
                    for of, anchor in anchors.items()
                }
            )
    return pd.DataFrame(lines).T


def draw(table: CodecTable, path: Path) -> None:
    """Plot BD-rates as inherited and after 50 steps against those of full training."""
    figure, panels = plt.subplots(2, 2, figsize=(8, 7.5), layout="constrained", sharey="row")
    for line, metric in zip(panels, METRICS, strict=True):
        full = table.bd_rates(table.rungs[-1], metric)
        for axes, steps in zip(line, (0, 50), strict=True):
            scores = table.bd_rates(steps, metric)[full.index]
            colours = table.costs.loc[full.index, "decode_ms"]
            points = axes.scatter(scores, full, c=colours, cmap="viridis", s=26)
            name = f"{steps} steps" if steps else "inherited"
            axes.set_title(f"{metric}, {name}: tau {with_interval(tau, scores, full)[0]:.2f}")
            axes.set_xlabel("BD-rate by the proxy (%)")
            axes.grid(alpha=0.25)
        line[0].set_ylabel(f"BD-rate after {table.rungs[-1]} steps (%)")
    figure.colorbar(points, ax=panels, label="predicted decode time (ms)")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, nargs="?", default=TABLE)
    path = parser.parse_args().table
    table = CodecTable(path)
    last = table.rungs[-1]
    for metric in METRICS:
        full = table.bd_rates(last, metric).dropna()
        print(
            f"\nAgreement with {last} steps from the same supernet by {metric}, {len(full)} "
            "architectures\n"
        )
        found = rankings(table, metric, full)
        print(agreement(found, full, table).to_markdown(disable_numparse=True))
    print("\nTau with 400 joint steps from the initialisation, where codecs share no weights\n")
    print(against_joint(table).to_markdown(disable_numparse=True))
    print()
    for metric in METRICS:
        print(seed_noise(table, metric))
    print("\nBD-rate (%) against linear codecs with the reference's widths\n")
    print(against_linear(table).to_markdown(disable_numparse=True))
    draw(table, path.with_name("proxy.png"))


if __name__ == "__main__":
    main()
