"""Answers of a study as a table, read from its database, from exported files or from mucped23."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_predictor.errors import UserError
from latency_predictor.writing import write_whole

DATABASE = "answers.sqlite"
COMPARISON, TRAINING, CATCH = "comparison", "training", "catch"
"""Kinds of answers. In the last two, the first picture is an original and the second is spoilt."""
NEEDED = ("participant", "picture", "first", "second", "preferred")
COLUMNS = (*NEEDED, "kind", "repeat_of", "response_ms", "answered")
"""Columns of a table of answers. `preferred` is 1.0 if the condition named in `first` was
preferred and 0.0 if that in `second` was; `repeat_of` is the row of the earlier answer to the same
question, if any; `response_ms` may be missing; `answered` is a time in UTC, ISO 8601."""
MUCPED23 = ("methodA", "methodB", "originalName", "answerValue")
"""Columns of the answers of mucped23 (google-research). `answerValue` names the method that looked
worse, A or B: its authors' notebook counts an answer B as a win of method A."""
NOBODY = ""
"""Participant of answers that do not say whose they are, as those of mucped23."""
_QUERY = """
    SELECT id, participant_id AS participant, picture, first, second, preferred, kind, repeat_of,
        response_ms, answered
    FROM answer WHERE preferred IS NOT NULL ORDER BY answered, participant_id, number
"""


class AnswersError(UserError):
    """Answers cannot be read, or they do not suffice for what was asked."""


def read_answers(path: Path) -> pd.DataFrame:
    """Read answers as a table with the columns COLUMNS.

    `path` is the folder of a study with its database, a folder of CSV files with the columns
    NEEDED, or one CSV file with these columns or those of MUCPED23. Raises AnswersError.
    """
    if (path / DATABASE).is_file():
        return _read_database(path / DATABASE)
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise AnswersError(f"{path}: expected {DATABASE} or CSV files with answers")
    tables: list[pd.DataFrame] = []
    for file in files:
        table = _read_csv(file)
        table["repeat_of"] += sum(map(len, tables))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def write_answers(path: Path, answers: pd.DataFrame) -> None:
    """Write a table of answers as a CSV file that `read_answers` reads, whole or not at all."""
    write_whole(path, answers[list(COLUMNS)].to_csv(index=False).encode())


def _read_database(path: Path) -> pd.DataFrame:
    """Read the answers that were given from the database that `study serve` writes."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = pd.read_sql_query(_QUERY, database)
    except (sqlite3.Error, pd.errors.DatabaseError) as error:
        raise AnswersError(f"{path}: is not a database of answers ({error})") from error
    places = pd.Series(rows.index, rows["id"])
    rows["repeat_of"] = rows["repeat_of"].map(places)
    return _typed(rows, path)


def _read_csv(path: Path) -> pd.DataFrame:
    """Read one CSV file."""
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise AnswersError(f"{path}: is no readable CSV file ({error})") from error
    if set(MUCPED23) <= set(rows.columns):
        rows = _from_mucped23(rows, path)
    missing = [name for name in NEEDED if name not in rows]
    if missing:
        raise AnswersError(
            f"{path}: has no column {', '.join(missing)}; expected the columns "
            f"{', '.join(NEEDED)} or {', '.join(MUCPED23)}"
        )
    return _typed(rows.replace("", pd.NA).fillna({"participant": NOBODY}), path)


def _from_mucped23(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The same answers under our columns."""
    unknown = set(rows["answerValue"]) - {"A", "B"}
    if unknown:
        raise AnswersError(f"{path}: answerValue is {sorted(unknown)[0]!r}; expected A or B")
    names = {"methodA": "first", "methodB": "second", "originalName": "picture"}
    preferred = (rows["answerValue"] == "B").astype(float)
    return rows.rename(columns=names).assign(participant=NOBODY, preferred=preferred)


def _typed(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with all columns in their types. Raises AnswersError for an impossible answer."""
    rows = rows.reset_index(drop=True)
    for name in COLUMNS:
        if name not in rows:
            rows[name] = COMPARISON if name == "kind" else pd.NA
    rows["kind"] = rows["kind"].fillna(COMPARISON)
    named = rows[["picture", "first", "second"]].notna().all(axis=1).to_numpy()
    for name in ("preferred", "repeat_of", "response_ms"):
        rows[name] = pd.to_numeric(rows[name], errors="coerce").astype("Float64")
    earlier = rows["repeat_of"].isna() | rows["repeat_of"].isin(range(len(rows)))
    given = rows["preferred"].isin([0.0, 1.0]).to_numpy()
    known = rows["kind"].isin([COMPARISON, TRAINING, CATCH]).to_numpy()
    right = given & known & named & rows["first"].ne(rows["second"]).fillna(False).to_numpy()
    _check_rows(rows, right & earlier.to_numpy(), path)
    rows["response_ms"] = rows["response_ms"].round()
    types = {"preferred": "float64", "repeat_of": "Int64", "response_ms": "Int64"}
    names = dict.fromkeys(["participant", "picture", "first", "second"], "str")
    return rows.astype(types | names)[list(COLUMNS)]


def _check_rows(rows: pd.DataFrame, right: NDArray[np.bool_], path: Path) -> None:
    """Raise AnswersError for the first row that is not right."""
    if right.all():
        return
    row = int(right.argmin())
    names = ("picture", "first", "second", "preferred", "kind", "repeat_of")
    found = ", ".join(f"{name} {_shown(rows[name].iloc[row])}" for name in names)
    raise AnswersError(
        f"{path}: answer {row + 1} is {found}; expected a picture, two different conditions, "
        "preferred 1 or 0, a known kind, and no repeat_of or the number of a row from 0"
    )


def _shown(value: str | float) -> str:
    """A cell of a table for a message."""
    return "''" if pd.isna(value) else f"{value!r}" if isinstance(value, str) else f"{value:g}"
