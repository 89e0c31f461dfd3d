"""How far cheap rankings of architectures agree with full training, and what they cost.

    python benchmarks/proxy.py [TABLE]

Reads the table of `benchmarks/table.py`; full fidelity is its last rung. Prints, by two metrics and
for every rung and for rankers that need no training, Kendall's tau and Spearman's rho with full
fidelity: overall, among the quarter that is best there, and between architectures within 5 % of
decode time; then the same of some with codecs that were trained jointly from the initialisation,
which share no weights (`benchmarks/fidelity.py`); how much seeds differ; what the reference gains
on the linear transform codec. Seconds are of training; measuring takes the same after all, and the
supernet's own training is in none. Draws `proxy.png` beside the table.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from fidelity import DEVICE, searched
from ranking import BAND, Ranking, curve, in_bands, rho, tau, with_interval, written
from ranking import TABLE as JOINT
from ranking import bd_rates as joint_bd_rates
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from latency_predictor import load_default
from search.costs.costs import SpaceCosts
from search.metrics.rate_distortion import CurveError, bd_rate_percent
from space.architecture import Architecture
from space.search_space import from_architecture

TABLE = Path(__file__).with_name("pico_small.parquet")
METRICS = ("ssimulacra2", "psnr")
COSTS = {
    "kMAC/px": "kmac_per_px",
    "parameters": "parameters_m",
    "predicted decode time": "decode_ms",
}
"""Costs used as rankings: a larger cost counts as a better codec."""
NOISE_DRAWS = 2000


class Study:
    """The table, the costs of its architectures, and BD-rates against the reference."""

    def __init__(self, path: Path) -> None:
        self.frame = pd.read_parquet(path)
        space = searched()
        self.reference = space.reference
        costs = SpaceCosts(space, load_default(), DEVICE).of(np.arange(space.size))
        costs.index = pd.Index([space.architecture(n).id for n in range(space.size)])
        self.costs = costs
        self.rungs = sorted(self.frame["steps"].unique())

    def row(self, architecture: Architecture, steps: int) -> pd.Series:
        """The row of seed 0."""
        rows = self.frame[(self.frame["id"] == architecture.id) & (self.frame["seed"] == 0)]
        return rows[rows["steps"] == steps].iloc[0]

    def bd_rates(self, steps: int, metric: str, seed: int = 0) -> pd.Series:
        """BD-rate by id at a rung, of the space's architectures but the reference."""
        anchor = curve(self.row(self.reference, steps), metric)
        chosen = self.frame[(self.frame["steps"] == steps) & (self.frame["seed"] == seed)]
        rates = {}
        for row in chosen.to_dict("records"):
            if row["id"] == self.reference.id or row["id"] not in self.costs.index:
                continue
            try:
                rates[row["id"]] = bd_rate_percent(anchor, curve(row, metric), metric)
            except CurveError:
                rates[row["id"]] = np.nan
        return pd.Series(rates, dtype=float)

    def seconds(self, steps: int) -> float:
        """Median CPU seconds of training until a rung."""
        rows = self.frame[self.frame["steps"] == steps]
        return float(rows["train_cpu_s"].median()) if steps else 0.0


def rankings(study: Study, metric: str, full: pd.Series) -> dict[str, Ranking]:
    """Scores of the fully trained, the lower the better, and CPU seconds for each, by name."""
    costs = study.costs.loc[full.index]
    found = {name: Ranking(-costs[column]) for name, column in COSTS.items()}
    points = features(study, full.index)
    found["narrow at stride 16"] = Ranking(points["decoder.16.C"])
    found["corrected architecture"] = Ranking(corrected(points, full))
    for steps in study.rungs[:-1]:
        name = f"{steps} steps" if steps else "inherited"
        rates, seconds = study.bd_rates(steps, metric)[full.index], study.seconds(steps)
        found[name] = Ranking(rates, seconds)
        found[f"{name}, corrected"] = Ranking(corrected(points.assign(rate=rates), full), seconds)
        if steps:
            of_rung = study.frame[(study.frame["steps"] == steps) & (study.frame["seed"] == 0)]
            losses = of_rung.set_index("id").loc[full.index, "summed_loss"]
            found[f"{name}, summed loss"] = Ranking(losses, seconds)
    return found


def features(study: Study, identities: pd.Index) -> pd.DataFrame:
    """Parameters that vary, a row per architecture."""
    known = study.frame.drop_duplicates("id").set_index("id")["architecture"]
    points = pd.DataFrame(
        {i: from_architecture(Architecture.from_json(known[i])) for i in identities}
    ).T
    return points.loc[:, points.nunique() > 1].astype(float)


def corrected(points: pd.DataFrame, full: pd.Series) -> pd.Series:
    """Full BD-rates as a linear model predicts them that was fitted to all the others."""
    both = points.assign(full=full).dropna()
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 16)))
    predicted = cross_val_predict(model, both[points.columns], both["full"], cv=LeaveOneOut())
    return pd.Series(predicted, both.index)


def rows(found: dict[str, Ranking], full: pd.Series, study: Study, dear: float) -> pd.DataFrame:
    """A row per ranking."""
    decode_ms = study.costs["decode_ms"]
    best = full[full <= full.quantile(0.25)]
    lines = {}
    for name, ranking in found.items():
        scores = ranking.scores
        lines[name] = {
            "tau": written(with_interval(tau, scores, full)),
            "rho": written(with_interval(rho, scores, full)),
            "tau, best quarter": written(with_interval(tau, scores, best)),
            f"tau within {BAND:.0%}": written(with_interval(in_bands, scores, full, decode_ms)),
            "CPU s": f"{ranking.cpu_s:.1f}",
            "of full": f"{ranking.cpu_s / dear:.0%}",
        }
    return pd.DataFrame(lines).T


def seed_noise(study: Study, metric: str) -> str:
    """How far seeds differ beside architectures, and the tau of two full trainings."""
    full = study.rungs[-1]
    first, second = (study.bd_rates(full, metric, seed) for seed in (0, 1))
    differences = (second - first).dropna()
    noise = float(np.sqrt((differences**2).mean() / 2))
    rng = np.random.default_rng(0)
    scores = first.dropna().to_numpy()
    again = noise * np.sqrt(2) * rng.normal(size=(NOISE_DRAWS, len(scores)))
    ceiling = float(np.mean([tau(scores, scores + difference) for difference in again]))
    return (
        f"By {metric}: BD-rate deviates by {noise:.2f} % between seeds ({len(differences)} pairs) "
        f"and by {scores.std():.2f} % between architectures; trained again from the same supernet "
        f"by other seeds, their ranking would have a tau of {ceiling:.2f} with this one."
    )


def against_joint(study: Study) -> pd.DataFrame:
    """Tau of some rungs with 400 joint steps from the initialisation."""
    joint = pd.read_parquet(JOINT)
    lines: dict[str, dict[str, str]] = {}
    for metric in METRICS:
        full = joint_bd_rates(joint, "full", metric)
        for steps in study.rungs:
            scores = study.bd_rates(steps, metric)
            lines.setdefault(f"{steps} steps", {})[metric] = written(
                with_interval(tau, scores, full)
            )
    return pd.DataFrame(lines).T


def against_linear(study: Study) -> pd.DataFrame:
    """BD-rate of the reference, and of the best that are inherited, against linear transforms."""
    joint = pd.read_parquet(JOINT)
    flat = tuple(replace(chain, R=0) for chain in study.reference.decoder)
    decoder = study.row(replace(study.reference, decoder=flat), 0)
    anchors = {
        "linear decoder of the same supernet": decoder,
        "linear codec, 400 joint steps": joint[joint["protocol"] == "linear"].iloc[0],
    }
    lines: dict[str, dict[str, float]] = {}
    for metric in METRICS:
        compared = {f"reference, {n} steps": study.row(study.reference, n) for n in study.rungs}
        best = study.bd_rates(0, metric).idxmin()
        inherited = study.frame[study.frame["steps"] == 0].set_index("id")
        compared[f"best by {metric}, inherited"] = inherited.loc[best]
        for name, row in compared.items():
            lines.setdefault(name, {}).update(
                {
                    f"{metric}, {of}": round(
                        bd_rate_percent(curve(anchor, metric), curve(row, metric), metric), 1
                    )
                    for of, anchor in anchors.items()
                }
            )
    return pd.DataFrame(lines).T


def draw(study: Study, path: Path) -> None:
    """BD-rates as inherited, and after 50 steps, beside those of full training."""
    figure, panels = plt.subplots(2, 2, figsize=(8, 7.5), layout="constrained", sharey="row")
    for line, metric in zip(panels, METRICS, strict=True):
        full = study.bd_rates(study.rungs[-1], metric)
        for axes, steps in zip(line, (0, 50), strict=True):
            scores = study.bd_rates(steps, metric)[full.index]
            colours = study.costs.loc[full.index, "decode_ms"]
            points = axes.scatter(scores, full, c=colours, cmap="viridis", s=26)
            name = f"{steps} steps" if steps else "inherited"
            axes.set_title(f"{metric}, {name}: tau {with_interval(tau, scores, full)[0]:.2f}")
            axes.set_xlabel("BD-rate by the proxy (%)")
            axes.grid(alpha=0.25)
        line[0].set_ylabel(f"BD-rate after {study.rungs[-1]} steps (%)")
    figure.colorbar(points, ax=panels, label="predicted decode time (ms)")
    figure.savefig(path, dpi=110)


def main() -> None:
    path = Path(sys.argv[1]) if sys.argv[1:] else TABLE
    study = Study(path)
    last = study.rungs[-1]
    for metric in METRICS:
        full = study.bd_rates(last, metric).dropna()
        print(
            f"\nAgreement with {last} steps from the same supernet by {metric}, {len(full)} "
            "architectures; 'corrected' is by a linear model of the score and the architecture "
            "that was fitted to the full trainings of all the others\n"
        )
        found = rankings(study, metric, full)
        print(rows(found, full, study, study.seconds(last)).to_markdown())
    print("\nTau with 400 joint steps from the initialisation, which share no weights\n")
    print(against_joint(study).to_markdown())
    print()
    for metric in METRICS:
        print(seed_noise(study, metric))
    print("\nBD-rate (%) against linear transforms of the reference's widths\n")
    print(against_linear(study).to_markdown())
    draw(study, path.with_name("proxy.png"))


if __name__ == "__main__":
    main()
