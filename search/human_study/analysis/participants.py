"""Consistency of participants, and which of them are excluded by rules stated in advance.

The rules do not look at what a study is to show. A participant is excluded who

1. gave fewer than LEAST_ANSWERS answers,
2. failed more than MOST_FAILED of at least LEAST_CATCH catch trials, whose answer is obvious,
3. answered more than half of the questions in less than HASTY_MS,
4. repeated fewer answers than chance would, when asked the same again with exchanged sides, with a
   probability below RARE: the mark of somebody who prefers a side, or
5. agrees less with what the others' answers predict than RARE permits, given how clear the
   predictions are: the mark of random or reversed answers. This needs at least LEAST_OTHERS others,
   because of two people who disagree nobody knows which one is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import binom, norm

from search.human_study.answers import CATCH, COMPARISON, NOBODY
from search.human_study.preference import PRIOR_STD, FloatArray, IntArray, fit

LEAST_ANSWERS = 10
LEAST_CATCH, MOST_FAILED = 2, 0.25
HASTY_MS = 500
LEAST_OTHERS = 2
RARE = 0.005
"""Probability below which an observation counts as no accident. Of 200 participants who answer as
the others do, one is excluded by each of the rules 4 and 5."""
COLUMNS = (
    "participant", "answers", "catch", "catch_right", "repeated", "repeated_alike", "agreement",
    "expected_agreement", "median_ms", "excluded",
)  # fmt: skip
"""Columns of the table of participants. `agreement` is the share of answers that prefer what the
others' answers predict, and `expected_agreement` that of a participant whom they describe;
`excluded` says why, and is empty for others."""


def screen(answers: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The participants with the columns COLUMNS. Answers of unknown participants are kept."""
    places = {label: place for place, label in enumerate(labels)}
    rows = [_judge(answers, str(name), places) for name in answers["participant"].unique()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def kept(answers: pd.DataFrame, participants: pd.DataFrame) -> pd.DataFrame:
    """The answers of participants who are not excluded."""
    excluded = participants.loc[participants["excluded"] != "", "participant"]
    return answers[~answers["participant"].isin(excluded)]


def _judge(answers: pd.DataFrame, name: str, places: Mapping[str, int]) -> dict[str, Any]:
    """The row of one participant."""
    own = answers[answers["participant"] == name]
    compared = own[own["kind"] == COMPARISON]
    catch = own[own["kind"] == CATCH]
    row: dict[str, Any] = {
        "participant": name,
        "answers": len(compared),
        "catch": len(catch),
        "catch_right": int(catch["preferred"].sum()),
        **_repetition(answers, compared),
        "median_ms": float(_milliseconds(compared).median()),
    }
    others = answers[(answers["participant"] != name) & (answers["kind"] == COMPARISON)]
    predicted = _predicted(others, compared, places)
    agreed = np.where(predicted > 0.5, compared["preferred"], 1 - compared["preferred"])
    clear = np.maximum(predicted, 1 - predicted)
    comparable = len(others) and len(compared)
    row["agreement"] = float(agreed.mean()) if comparable else np.nan
    row["expected_agreement"] = float(clear.mean()) if comparable else np.nan
    judged = (
        others["participant"].eq(NOBODY).any() or others["participant"].nunique() >= LEAST_OTHERS
    )
    excluded = "" if name == NOBODY else _reason(row, _milliseconds(compared))
    if name != NOBODY and not excluded and judged:
        excluded = _disagreement(row, clear)
    row["excluded"] = excluded
    return row


def _milliseconds(compared: pd.DataFrame) -> pd.Series[float]:
    """Times of the answers; NaN where they are unknown, which counts as slow."""
    return pd.to_numeric(compared["response_ms"]).astype("Float64").astype("float64")


def _repetition(answers: pd.DataFrame, compared: pd.DataFrame) -> dict[str, int]:
    """How many questions were repeated to a participant, and were answered as before."""
    repeated = compared[compared["repeat_of"].notna()]
    earlier = answers.loc[repeated["repeat_of"].astype("int64")]
    chosen, before = (
        np.where(table["preferred"] == 1, table["first"], table["second"])
        for table in (repeated, earlier)
    )
    return {"repeated": len(repeated), "repeated_alike": int((chosen == before).sum())}


def _predicted(others: pd.DataFrame, own: pd.DataFrame, places: Mapping[str, int]) -> FloatArray:
    """Probability, by the others' answers, that the first is preferred, for each own answer."""
    first, second = _numbers(others, places)
    strengths = fit(first, second, others["preferred"].to_numpy(), len(places), PRIOR_STD).mean
    one, two = _numbers(own, places)
    return expit(strengths[one] - strengths[two])


def _numbers(answers: pd.DataFrame, places: Mapping[str, int]) -> list[IntArray]:
    """Numbers of the first and of the second conditions."""
    return [
        np.array([places[label] for label in answers[side]], dtype=np.int64)
        for side in ("first", "second")
    ]


def _reason(row: dict[str, Any], response_ms: pd.Series[float]) -> str:
    """Why a participant is excluded by the rules 1 to 4; empty if by none."""
    if row["answers"] < LEAST_ANSWERS:
        return f"fewer than {LEAST_ANSWERS} answers"
    failed = row["catch"] - row["catch_right"]
    if row["catch"] >= LEAST_CATCH and failed > MOST_FAILED * row["catch"]:
        return f"failed {failed} of {row['catch']} catch trials"
    if (response_ms < HASTY_MS).mean() > 0.5:
        return f"more than half of the answers within {HASTY_MS} ms"
    alike, repeated = row["repeated_alike"], row["repeated"]
    if repeated and binom.cdf(alike, repeated, 0.5) < RARE:
        return f"repeated {alike} of {repeated} answers"
    return ""


def _disagreement(row: dict[str, Any], clear: FloatArray) -> str:
    """Why a participant is excluded by rule 5; empty if not."""
    spread = np.sqrt((clear * (1 - clear)).sum())
    if norm.cdf((row["agreement"] - row["expected_agreement"]) * len(clear) / spread) < RARE:
        return f"agrees with the others in {row['agreement']:.0%}, expected {clear.mean():.0%}"
    return ""
