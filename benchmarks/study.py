"""Coverage of a study's intervals, and the number of answers that active pairs save.

Studies are simulated whose truth is known: how often do the 90 % intervals of `study analyse`
cover it, with and without variation over pictures and people, and how wide are they after how many
answers to random and to active pairs? Prints the tables of `study.md`:

    python benchmarks/study.py --studies 30 --seeds 5
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from search.human_study.analysis.scale import bd_rates, differences, elo_draws, elo_table
from search.human_study.manifest import Condition
from search.human_study.observers import Observers, simulate
from search.human_study.population import Answers, sample_population
from search.human_study.preference import (
    ELO_MEAN,
    ELO_PER_LOG_ODDS,
    PRIOR_STD,
    FloatArray,
    elo,
    fit,
)
from search.report.markdown import markdown_table

RATES = (0.25, 0.5, 1.0, 2.0)
CONDITIONS = [Condition(codec, rate) for codec in ("a", "b", "c") for rate in RATES]
TABLE = pd.DataFrame(
    [(each.label, *each, each.target_bpp) for each in CONDITIONS],
    columns=["condition", "codec", "target_bpp", "bpp"],
)
CODECS = np.repeat(np.arange(3), len(RATES))
TRUTH = np.concatenate([1.4 * np.log2(RATES) + gain for gain in (0.0, 0.5, 0.3)])
"""True strengths over pictures and people at large, in log odds: 243 Elo per doubling of the rate,
codecs that differ by 35 to 87 Elo at equal rate."""
TRUE_ELO = (ELO_MEAN + ELO_PER_LOG_ODDS * (TRUTH - TRUTH.mean()))[None]
Z_90 = 1.645


@dataclass(frozen=True)
class Nature:
    """How much pictures and people differ, as standard deviations in log odds or of factors."""

    name: str
    condition: float = 0.0
    codec: float = 0.0
    sensitivity: float = 0.0
    participant: float = 0.0
    participant_codec: float = 0.0
    lapses: float = 0.0
    heavy_tailed: bool = False
    """Whether deviations of pictures have Student's t distribution with 3 degrees of freedom, which
    the analysis does not assume."""

    def observers(self, pictures: int, rng: np.random.Generator) -> Observers:
        """Observers of newly drawn pictures."""

        def deviations(std: float, *shape: int) -> FloatArray:
            if self.heavy_tailed:
                return std * rng.standard_t(3, size=shape) / np.sqrt(3)
            return rng.normal(0, std, size=shape)

        # Sensitivity scales differences, and the mean of the strengths has no effect on answers.
        strengths = (TRUTH - TRUTH.mean()) * (1 + deviations(self.sensitivity, pictures, 1))
        strengths = strengths + deviations(self.condition, pictures, len(TRUTH))
        strengths = strengths + deviations(self.codec, pictures, 3)[:, CODECS]
        return Observers(
            CONDITIONS, strengths, self.participant, self.participant_codec, self.lapses
        )


EQUAL = Nature("all pictures and people are alike")
VARIED = Nature("pictures and people differ", 0.4, 0.4, 0.25, 0.3, 0.2, 0.03)
HEAVY = replace(VARIED, name="pictures differ with heavy tails", heavy_tailed=True)
PICTURES, PARTICIPANTS, EACH = 12, 20, 30

SHARES = (0.4, 0.5, 0.6, 0.8, 1.0)
"""Numbers of answers to active pairs that are tried, relative to random pairs."""
WIDEST = 1e6
"""Width that stands for that of an interval which cannot be given."""


def truth_of(name: str) -> FloatArray:
    """True value of what is reported: Elo, differences at equal rate, or BD-rates."""
    if name == "Elo":
        return TRUE_ELO[0]
    table = differences(TRUE_ELO, TABLE)["elo"] if name == "difference" else None
    return (bd_rates(TRUE_ELO, TABLE)["percent"] if table is None else table).to_numpy()


def reported(draws: FloatArray, answers: Answers) -> Iterator[tuple[str, FloatArray]]:
    """Name, and ends of the intervals [n, 2], of all that a study reports."""
    yield "Elo", elo_table(draws, TABLE, answers)[["low", "high"]].to_numpy()
    yield "difference", differences(draws, TABLE)[["low", "high"]].to_numpy()
    yield "BD-rate", bd_rates(draws, TABLE)[["low", "high"]].to_numpy()


def posterior_draws(answers: Answers, seed: int) -> FloatArray:
    """Draws of Elo, as `study analyse` makes them."""
    rng = np.random.default_rng(seed)
    return elo_draws(sample_population(answers, CODECS, PRIOR_STD, rng))


def plain_cover(answers: Answers) -> FloatArray:
    """Whether intervals of plain Bradley-Terry cover the true Elo [items]."""
    table = (answers.first, answers.second, answers.preferred)
    scale = elo(fit(*table, len(CONDITIONS), PRIOR_STD))
    return np.abs(scale.mean - TRUE_ELO[0]) < Z_90 * np.sqrt(np.diag(scale.covariance))


def coverage(studies: int) -> None:
    """Print how often intervals cover the truth, per nature and reported quantity."""
    rows = []
    for nature, active in ((VARIED, False), (VARIED, True), (EQUAL, False), (HEAVY, False)):
        covered: dict[str, list[FloatArray]] = {}
        for seed in range(studies):
            rng = np.random.default_rng(seed)
            observers = nature.observers(PICTURES, rng)
            answers = simulate(observers, PARTICIPANTS, EACH, active, rng)
            for name, ends in reported(posterior_draws(answers, seed), answers):
                given = ~np.isnan(ends).any(axis=1)
                hit = (ends[:, 0] <= truth_of(name)) & (truth_of(name) <= ends[:, 1])
                covered.setdefault(name, []).append(hit[given])
            covered.setdefault("plain", []).append(plain_cover(answers))
        shares = {name: f"{np.concatenate(hits).mean():.1%}" for name, hits in covered.items()}
        rows.append((nature.name, "active" if active else "random", *shares.values()))
        print(rows[-1], flush=True)
    headers = ("truth", "pairs", "Elo", "difference at equal rate", "BD-rate", "plain model: Elo")
    print(markdown_table(headers, rows))


def mean_widths(nature: Nature, seed: int, active: bool, share: float) -> dict[str, float]:
    """Mean width of the intervals by what is reported; NaN if an interval is missing."""
    rng = np.random.default_rng(seed)
    observers = nature.observers(PICTURES, rng)
    answers = simulate(observers, round(share * PARTICIPANTS), EACH, active, rng)
    ends = dict(reported(posterior_draws(answers, seed), answers))
    return {name: float(np.mean(each[:, 1] - each[:, 0])) for name, each in ends.items()}


def saving(seeds: int) -> None:
    """Print the answers that active pairs need for the mean interval width of random pairs."""
    for nature in (EQUAL, VARIED):
        needed: dict[str, list[float]] = {}
        for seed in range(seeds):
            wanted = mean_widths(nature, seed, active=False, share=1.0)
            widths = pd.DataFrame([mean_widths(nature, seed, True, share) for share in SHARES])
            for name, width in wanted.items():
                reached = np.minimum.accumulate(widths[name].fillna(WIDEST))
                needed.setdefault(name, []).append(float(np.interp(-width, -reached, SHARES)))
            print(nature.name, seed, {name: each[-1] for name, each in needed.items()}, flush=True)
        rows = [
            (name, f"{np.median(each):.0%}", f"{min(each):.0%} to {max(each):.0%}")
            for name, each in needed.items()
        ]
        print(nature.name)
        print(markdown_table(("equal mean width of", "answers needed, median", "range"), rows))


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    if options.seeds:
        saving(options.seeds)
    if options.studies:
        coverage(options.studies)


if __name__ == "__main__":
    main()
