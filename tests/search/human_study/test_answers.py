import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from search.human_study.answers import COLUMNS, AnswersError, read_answers, write_answers

ROWS = """participant,picture,first,second,preferred,kind,repeat_of,response_ms,answered
a,sea,jpeg 0.5,avif 0.5,0,comparison,,2100,2026-01-01T10:00:00+00:00
a,sea,avif 0.5,jpeg 0.5,1.0,comparison,0,1500,2026-01-01T10:00:09+00:00
a,sea,original,catch,1,catch,,,2026-01-01T10:00:12+00:00
"""


def test_exported_files_of_a_folder_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(ROWS)
    (tmp_path / "two.csv").write_text(ROWS.replace("\na,", "\nb,"))
    table = read_answers(tmp_path)
    assert list(table.columns) == list(COLUMNS)
    assert table["participant"].tolist() == ["a"] * 3 + ["b"] * 3
    assert table["repeat_of"].fillna(-1).tolist() == [-1, 0, -1, -1, 3, -1]
    assert table["preferred"].tolist() == [0.0, 1.0, 1.0] * 2


def test_times_are_rounded_to_whole_milliseconds(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(ROWS.replace("2100", "2099.7"))
    times = read_answers(tmp_path / "one.csv")["response_ms"]
    assert times.tolist()[:2] == [2100, 1500]
    assert times.isna().tolist() == [False, False, True]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(ROWS)
    table = read_answers(tmp_path / "one.csv")
    write_answers(tmp_path / "two.csv", table)
    pd.testing.assert_frame_equal(read_answers(tmp_path / "two.csv"), table)


def test_mucped23_names_the_worse_picture(tmp_path: Path) -> None:
    """Three of its rows. People liked quality 90 better than 70, and B is the latter."""
    path = tmp_path / "answers.csv"
    path.write_text(
        "methodA,methodB,originalName,answerValue\n"
        "jpegli-q90-yuv420,jpegli-q70-yuv444,3156482,B\n"
        "libjpeg-turbo-q60-yuv420,jpegli-q80-yuv444,382297,A\n"
        "mozjpeg-q95-yuv444,mozjpeg-q80-yuv422,159550,B\n"
    )
    table = read_answers(path)
    assert table["preferred"].tolist() == [1.0, 0.0, 1.0]
    assert table["first"].tolist()[0] == "jpegli-q90-yuv420"
    assert set(table["participant"]) == {""}


def test_only_given_answers_of_a_database_are_read(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "answers.sqlite") as database:
        database.execute(
            "CREATE TABLE answer (id, participant_id, number, kind, picture, first, second, "
            "first_on_left, repeat_of, preferred, response_ms, answered)"
        )
        database.executemany(
            "INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                ("x", 1, 0, "comparison", "sea", "jpeg 0.5", "avif 0.5", 1, None, 0.0, 900, "1"),
                ("y", 2, 0, "comparison", "sea", "jpeg 0.5", "avif 0.5", 1, None, None, None, None),
                ("z", 1, 1, "comparison", "sea", "avif 0.5", "jpeg 0.5", 0, "x", 1.0, 800, "2"),
            ],
        )
    table = read_answers(tmp_path)
    assert table["participant"].tolist() == ["1", "1"]
    assert table["repeat_of"].fillna(-1).tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has no column participant"),
        (ROWS.replace(",0,comparison", ",0.4,comparison"), "answer 1 is"),
        (ROWS.replace("jpeg 0.5,avif 0.5", "jpeg 0.5,jpeg 0.5"), "answer 1 is"),
        (ROWS.replace("catch,,,", "chat,,,"), "answer 3 is"),
        (ROWS.replace("sea,jpeg 0.5", "sea,"), "answer 1 is picture 'sea', first ''"),
        (ROWS.replace("a,sea,original", "a,,original"), "answer 3 is picture ''"),
        *(
            (ROWS.replace("comparison,0,", f"comparison,{row},"), f"answer 2 .*repeat_of {row};")
            for row in (7, -1, 1.5)
        ),
        ("methodA,methodB,originalName,answerValue\na,b,c,C\n", "expected A or B"),
        ("", "readable CSV"),
    ],
)
def test_impossible_answers_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(AnswersError, match=message):
        read_answers(tmp_path / "bad.csv")


def test_a_folder_without_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match=r"expected answers\.sqlite or CSV files"):
        read_answers(tmp_path)
    (tmp_path / "answers.sqlite").write_text("no database")
    with pytest.raises(AnswersError, match="is not a database"):
        read_answers(tmp_path)
