"""Elo of conditions, differences between codecs and BD-rates, with credible intervals."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.isotonic import isotonic_regression

from search.human_study.answers import COMPARISON
from search.human_study.population import Answers, Population
from search.human_study.preference import ELO_MEAN, ELO_PER_LOG_ODDS, FloatArray
from search.metrics.rate_distortion import (
    INTERVAL_COVERAGE,
    MAX_REFUSED,
    CurveError,
    bd_rate_percent,
)

TAILS = ((1 - INTERVAL_COVERAGE) / 2, (1 + INTERVAL_COVERAGE) / 2)
"""Quantiles at the ends of intervals."""
BD_RATE_DRAWS = 200
"""Largest number of draws from which the interval of a BD-rate is computed."""
RISE = 1e-3
"""Elo by which each point of a curve is above the one before, at least. Where a draw falls, it is
replaced by the nearest curve that rises, because more bits do not make a picture worse."""


def number(answers: pd.DataFrame, conditions: pd.DataFrame) -> Answers:
    """The comparisons among the answers by number, in the order of the table of conditions.

    Answers that repeat a question to the same participant are left out.
    """
    used = answers[(answers["kind"] == COMPARISON) & answers["repeat_of"].isna()]
    places = pd.Series(range(len(conditions)), conditions["condition"])
    return Answers(
        places[used["first"]].to_numpy(np.int64),
        places[used["second"]].to_numpy(np.int64),
        used["preferred"].to_numpy(np.float64),
        pd.factorize(used["picture"])[0].astype(np.int64),
        pd.factorize(used["participant"])[0].astype(np.int64),
    )


def elo_draws(population: Population) -> FloatArray:
    """Draws of the conditions' Elo [draws, items], whose mean over conditions is ELO_MEAN."""
    strengths = population.strengths
    return ELO_MEAN + ELO_PER_LOG_ODDS * (strengths - strengths.mean(axis=1, keepdims=True))


def elo_table(draws: FloatArray, conditions: pd.DataFrame, answers: Answers) -> pd.DataFrame:
    """The conditions with their Elo, its interval, and the number of answers about each."""
    low, high = np.quantile(draws, TAILS, axis=0)
    asked = np.bincount(np.r_[answers.first, answers.second], minlength=len(conditions))
    columns = {"elo": draws.mean(axis=0), "low": low, "high": high, "answers": asked}
    return conditions.assign(**columns)


def differences(draws: FloatArray, conditions: pd.DataFrame) -> pd.DataFrame:
    """Differences in Elo between codecs at equal rate: how far `codec` is above `reference`.

    `probability` is that of a difference above 0. The table is empty if rates are unknown.
    """
    rows = []
    for rate, group in conditions.groupby("target_bpp", sort=True):
        for i, j in combinations(group.index, 2):
            gap = draws[:, j] - draws[:, i]
            codecs = conditions.loc[j, "codec"], conditions.loc[i, "codec"]
            rows.append(
                (rate, *codecs, gap.mean(), *np.quantile(gap, TAILS), float((gap > 0).mean()))
            )
    names = ["target_bpp", "codec", "reference", "elo", "low", "high", "probability"]
    return pd.DataFrame(rows, columns=names)


def bd_rates(draws: FloatArray, conditions: pd.DataFrame) -> pd.DataFrame:
    """BD-rate of each codec against each that comes before it, over the Elo of their conditions.

    Columns are codec, reference, percent, low, high and why_not, which says why a BD-rate is
    missing. The rates are those of the table; their spread over pictures is not in the interval.
    """
    curves = {
        codec: group.sort_values("bpp")
        for codec, group in conditions.dropna(subset="bpp").groupby("codec", sort=False)
        if len(group) > 1
    }
    thinned = draws[:: -(-len(draws) // BD_RATE_DRAWS)]
    rows = [
        (test, reference, *_bd_rate(draws.mean(axis=0), thinned, curves[reference], curves[test]))
        for reference, test in combinations(curves, 2)
    ]
    return pd.DataFrame(rows, columns=["codec", "reference", "percent", "low", "high", "why_not"])


def _bd_rate(
    mean: FloatArray, draws: FloatArray, reference: pd.DataFrame, test: pd.DataFrame
) -> tuple[float, float, float, str]:
    """BD-rate over mean Elo, the interval of that over draws of Elo, and why they are missing."""
    try:
        percent = bd_rate_percent(_curve(mean, reference), _curve(mean, test), "elo")
    except CurveError as error:
        return np.nan, np.nan, np.nan, str(error)
    drawn = list(_each_bd_rate(draws, reference, test))
    refused = 1 - len(drawn) / len(draws)
    if refused > MAX_REFUSED:
        return percent, np.nan, np.nan, f"{refused:.0%} of the draws have no BD-rate"
    low, high = np.quantile(drawn, TAILS)
    return percent, float(low), float(high), ""


def _each_bd_rate(
    draws: FloatArray, reference: pd.DataFrame, test: pd.DataFrame
) -> Iterator[float]:
    """BD-rates of the draws that have one."""
    for draw in draws:
        try:
            yield bd_rate_percent(_curve(draw, reference), _curve(draw, test), "elo")
        except CurveError:
            continue


def _curve(elo: FloatArray, codec: pd.DataFrame) -> dict[str, list[float]]:
    """Rate and Elo of a codec's conditions, made to rise."""
    steps = RISE * np.arange(len(codec))
    rising = isotonic_regression(elo[codec.index.to_numpy()] - steps) + steps
    return {"bpp": codec["bpp"].tolist(), "elo": rising.tolist()}
