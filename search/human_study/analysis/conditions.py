"""The conditions of a study as a table: codec and rate of each label in the answers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from search.human_study.answers import COMPARISON, AnswersError
from search.human_study.manifest import Study

COLUMNS = ("condition", "codec", "target_bpp", "bpp")
"""Columns of the table. `bpp` is the mean over pictures. `target_bpp`, the rate at which codecs are
compared, and `bpp` are NaN where they are unknown."""
MUCPED23 = {"method": "condition", "label": "codec"}
"""Names of columns in `elo.csv` of mucped23, and ours."""


def of_study(study: Study) -> pd.DataFrame:
    """The conditions of a study."""
    shown = [stimulus for picture in study.pictures for stimulus in picture.stimuli]
    rows = [(each.condition.label, each.codec, each.target_bpp, each.bpp) for each in shown]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.groupby(list(COLUMNS[:3]), sort=False)["bpp"].mean().reset_index()


def read_conditions(path: Path) -> pd.DataFrame:
    """Read a CSV file with the columns condition, codec and bpp, or those of mucped23's elo.csv.

    Raises AnswersError.
    """
    try:
        table = pd.read_csv(path).rename(columns=MUCPED23)
    except (ValueError, OSError) as error:
        raise AnswersError(f"{path}: is no readable CSV file ({error})") from error
    if not {"condition", "codec", "bpp"} <= set(table.columns):
        raise AnswersError(
            f"{path}: has the columns {', '.join(map(str, table.columns))}; expected condition, "
            f"codec and bpp"
        )
    given = table.reindex(columns=list(COLUMNS))
    table = given.copy()
    wrong = table[["condition", "codec"]].isna().any(axis=1) | table["condition"].duplicated()
    for name in ("target_bpp", "bpp"):
        rates = pd.to_numeric(given[name], errors="coerce")
        wrong |= given[name].notna() & ~rates.gt(0)
        table[name] = rates
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        found = ", ".join(f"{name} {value}" for name, value in given.iloc[row].dropna().items())
        raise AnswersError(
            f"{path}: row {row + 1} is {found}; expected a condition that no other row has, its "
            "codec, and rates in bpp above 0, or empty ones"
        )
    return table.astype({"condition": "str", "codec": "str"})


def of_answers(answers: pd.DataFrame) -> pd.DataFrame:
    """The conditions that the answers compare, whose codecs and rates are unknown."""
    compared = answers[answers["kind"] == COMPARISON]
    labels = sorted(set(compared["first"]) | set(compared["second"]))
    return pd.DataFrame({"condition": labels, "codec": ""}).reindex(columns=list(COLUMNS))


def check_pictures(answers: pd.DataFrame, study: Study) -> None:
    """Raise AnswersError if the answers compare in a picture that is not in the study."""
    known = [picture.id for picture in study.pictures]
    unknown = sorted(set(answers.loc[answers["kind"] == COMPARISON, "picture"]) - set(known))
    if unknown:
        raise AnswersError(
            f"answers name the picture '{unknown[0]}'; expected one of {', '.join(known)}"
        )


def check_known(answers: pd.DataFrame, conditions: pd.DataFrame) -> None:
    """Raise AnswersError if the answers compare a condition that is not in the table."""
    unknown = sorted(set(of_answers(answers)["condition"]) - set(conditions["condition"]))
    if unknown:
        raise AnswersError(
            f"answers name the condition '{unknown[0]}'; expected one of "
            f"{', '.join(conditions['condition'])}"
        )
