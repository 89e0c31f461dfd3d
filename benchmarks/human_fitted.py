"""A score fitted to people: metrics summed with weights of at least 0, tested on what was held out.

In turn an encoder and a third of the pictures are held out. The weights come from the settings of
the other encoders, over the other pictures. The score is tested on the held-out pictures, on pairs
of codecs of which at least one is by the held-out encoder.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from human_agreement import ELO, People, Vector, elo_bd_rate_percent
from numpy.typing import NDArray
from scipy.optimize import nnls

from search.metrics.rate_distortion import CurveError, bd_rate_percent

FOLDS = 3
"""Number of folds of pictures."""
ENCODERS = ("libjpeg-turbo", "mozjpeg", "jpegli")


@dataclass(frozen=True)
class Score:
    """A weighted sum of qualities, in points of Elo."""

    weights: Vector
    constant: float

    def __call__(self, quality: Vector) -> Vector:
        """Points [...] of qualities [..., metrics]."""
        return quality @ self.weights + self.constant


def fit(quality: Vector, elo: Vector, error: Vector) -> Score:
    """The sum of qualities [settings, metrics] that is nearest to Elo, with weights of at least 0.

    It minimises the squared differences, each divided by the squared standard error of Elo
    (non-negative least squares of standardised qualities).
    """
    share = error**-2 / (error**-2).sum()
    centre, middle = share @ quality, float(share @ elo)
    spread = quality.std(axis=0)
    root = np.sqrt(share)
    weights, _ = nnls(root[:, None] * (quality - centre) / spread, root * (elo - middle))
    weights = weights / spread
    return Score(weights, middle - float(centre @ weights))


@dataclass(frozen=True)
class Cell:
    """One split: an encoder and a fold of pictures are held out."""

    encoder: str
    trained: NDArray[np.bool_]
    """Settings of the other encoders."""
    learnt_from: NDArray[np.intp]
    tested_on: NDArray[np.intp]
    """Pictures."""


def cells(people: People, pictures: int, seed: int = 0) -> Iterator[Cell]:
    """All splits."""
    order = np.random.default_rng(seed).permutation(pictures)
    for encoder, fold in itertools.product(ENCODERS, range(FOLDS)):
        trained = np.array([not codec.startswith(encoder) for codec in people.codec])
        yield Cell(encoder, trained, np.delete(order, np.s_[fold::FOLDS]), order[fold::FOLDS])


def held_out(
    people: People, bpp: Vector, quality: Vector, scores: Mapping[str, Sequence[int]]
) -> pd.DataFrame:
    """Errors on what was held out of scores by name, each fitted to the places of its metrics.

    `bpp` is [pictures, settings] and `quality` [pictures, settings, metrics]. A row per split and
    score, with the columns encoder, score, rmse (of Elo, in points), equal_rate (share of pairs
    ordered as by Elo), bd_rate (mean absolute difference from Elo's BD-rate, in percent points) and
    no_bd_rate (share of pairs of codecs that have none).
    """
    pairs = people.codec_pairs()
    by_elo = {pair: elo_bd_rate_percent(people, people.elo, *pair) for pair in pairs}
    rows = []
    for cell in cells(people, len(bpp)):
        learnt, tested = (quality[p].mean(axis=0) for p in (cell.learnt_from, cell.tested_on))
        rate = bpp[cell.tested_on].mean(axis=0)
        for name, chosen in scores.items():
            part = cell.trained
            score = fit(learnt[part][:, chosen], people.elo[part], people.error[part])
            points = score(tested[:, chosen])
            errors = _bd_rate_errors(people, rate, points, cell.encoder, by_elo)
            rows.append(
                {
                    "encoder": cell.encoder,
                    "score": name,
                    "rmse": float(np.sqrt(np.mean((points - people.elo)[~part] ** 2))),
                    "equal_rate": _ordered(people, points, ~part),
                    "bd_rate": float(np.nanmean(errors)) if np.isfinite(errors).any() else np.nan,
                    "no_bd_rate": float(np.isnan(errors).mean()),
                }
            )
    return pd.DataFrame(rows)


def _ordered(people: People, points: Vector, tested: NDArray[np.bool_]) -> float:
    """Share of the clear pairs at equal rate, with a tested setting, ordered as by Elo."""
    first, second = people.equal_rate_pairs
    kept = people.clear(first, second) & (tested[first] | tested[second])
    first, second = first[kept], second[kept]
    alike = (people.elo[first] > people.elo[second]) == (points[first] > points[second])
    return float(alike.mean())


def _bd_rate_errors(
    people: People,
    rate: Vector,
    points: Vector,
    encoder: str,
    by_elo: dict[tuple[str, str], float],
) -> list[float]:
    """Absolute differences from Elo's BD-rates of pairs that include the encoder.

    They are NaN for pairs whose curves have no BD-rate.
    """
    errors = []
    for pair, expected in by_elo.items():
        if not any(codec.startswith(encoder) for codec in pair):
            continue
        reference, candidate = (
            {"bpp": rate[places].tolist(), ELO: points[places].tolist()}
            for places in map(people.curve, pair)
        )
        try:
            errors.append(abs(bd_rate_percent(reference, candidate, ELO) - expected))
        except CurveError:
            errors.append(np.nan)
    return errors
