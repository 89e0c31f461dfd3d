"""Agreement of quality metrics with the people of a study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau, spearmanr

from search.data.images import read_rgb
from search.human_study.analysis.scale import TAILS
from search.human_study.answers import COMPARISON
from search.human_study.manifest import Study
from search.human_study.preference import FloatArray
from search.metrics import find_metric
from space.pixels import to_batch

COLUMNS = (
    "metric", "kendall", "kendall_low", "kendall_high", "spearman", "spearman_low",
    "spearman_high", "equal_rate", "equal_rate_low", "equal_rate_high", "answers",
    "answers_equal_rate",
)  # fmt: skip
"""Columns of the table of metrics. The first coefficients compare the metric's mean over pictures
with Elo, over all conditions. `equal_rate` is Kendall's tau over the pairs of codecs at equal rate.
`answers` is the share of answers that prefer what the metric prefers in the same picture, and
`answers_equal_rate` that among answers about codecs at equal rate."""


def score(
    study: Study, folder: Path, metrics: Sequence[str], done: Callable[[], None]
) -> pd.DataFrame:
    """Quality of every reconstruction by each metric, which rises with quality.

    The table has the columns picture, condition and one per metric. `done` is called after each
    picture. Raises ImageError, and MetricError if a metric cannot compare the pictures.
    """
    rows = []
    for picture in study.pictures:
        original = to_batch(read_rgb(folder / picture.original).pixels)
        for label, stimulus in picture.shown().items():
            shown = to_batch(read_rgb(folder / stimulus.file).pixels)
            rows.append([picture.id, label, *(_quality(name, original, shown) for name in metrics)])
        done()
    return pd.DataFrame(rows, columns=["picture", "condition", *metrics])


def _quality(name: str, original: torch.Tensor, shown: torch.Tensor) -> float:
    """Quality of one picture by a metric."""
    metric = find_metric(name)
    with torch.no_grad():
        return metric.quality(float(metric(original, shown)))


def agreement(
    scores: pd.DataFrame, draws: FloatArray, conditions: pd.DataFrame, answers: pd.DataFrame
) -> pd.DataFrame:
    """How well each metric agrees with draws of Elo [draws, items] and with single answers.

    The table has the columns COLUMNS. Its intervals are over the draws.
    """
    metrics = list(scores.columns[2:])
    means = scores.groupby("condition")[metrics].mean().loc[conditions["condition"]]
    rate = conditions["target_bpp"].to_numpy()
    i, j = np.triu_indices(len(rate), 1)
    equal = rate[i] == rate[j]
    i, j = i[equal], j[equal]
    rows = []
    for name in metrics:
        quality = means[name].to_numpy()
        order = np.sign(quality[j] - quality[i])

        def coefficients(elo: FloatArray, quality: FloatArray, order: FloatArray) -> list[float]:
            within = np.mean(order * np.sign(elo[j] - elo[i])) if len(order) else np.nan
            return [
                float(kendalltau(quality, elo).statistic),
                float(spearmanr(quality, elo).statistic),
                float(within),
            ]

        best = coefficients(draws.mean(axis=0), quality, order)
        ends = np.quantile([coefficients(draw, quality, order) for draw in draws], TAILS, axis=0)
        spread = np.stack([best, *ends]).T.ravel()
        rows.append([name, *spread, *_answers_shared(scores, name, conditions, answers)])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _answers_shared(
    scores: pd.DataFrame, name: str, conditions: pd.DataFrame, answers: pd.DataFrame
) -> tuple[float, float]:
    """Share of all answers, and of those at equal rate, that prefer what the metric prefers."""
    compared = answers[(answers["kind"] == COMPARISON) & answers["repeat_of"].isna()]
    quality = scores.set_index(["picture", "condition"])[name]
    rates = conditions.set_index("condition")["target_bpp"]
    first, second = (
        quality.loc[list(zip(compared["picture"], compared[side], strict=True))].to_numpy()
        for side in ("first", "second")
    )
    # An answer counts half where the metric sees no difference.
    prefers = (1 + np.sign(first - second)) / 2
    shared = 1 - np.abs(prefers - compared["preferred"].to_numpy())
    equal = rates.loc[compared["first"]].to_numpy() == rates.loc[compared["second"]].to_numpy()
    return float(shared.mean()), float(shared[equal].mean()) if equal.any() else np.nan
