from pathlib import Path

import pandas as pd
import pytest

from search.human_study.analysis.conditions import check_pictures, read_conditions
from search.human_study.answers import CATCH, COMPARISON, AnswersError
from search.human_study.manifest import Picture, Size, Study

ROWS = "condition,codec,bpp\ngood,x,1.5\npoor,x,\n"


def test_rates_may_be_unknown(tmp_path: Path) -> None:
    (tmp_path / "conditions.csv").write_text(ROWS)
    table = read_conditions(tmp_path / "conditions.csv")
    assert table["condition"].tolist() == ["good", "poor"]
    assert table["bpp"].tolist()[0] == 1.5
    assert pd.isna(table["bpp"].tolist()[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROWS.replace("1.5", "much"), "row 1 is condition good, codec x, bpp much; expected"),
        (ROWS.replace("1.5", "0"), "row 1 is condition good"),
        (ROWS.replace("poor", "good"), "row 2 is condition good"),
        (ROWS.replace("poor,x", "poor,"), "row 2 is condition poor; expected"),
        ("condition,bpp\ngood,1\n", "has the columns condition, bpp; expected"),
        ("", "readable CSV"),
    ],
)
def test_unusable_conditions_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "conditions.csv").write_text(text)
    with pytest.raises(AnswersError, match=message):
        read_conditions(tmp_path / "conditions.csv")


def test_answers_about_unknown_pictures_are_refused() -> None:
    study = Study("small", 0, Size(8, 8), (Picture("sea", "sea.png", ()),))
    answers = pd.DataFrame({"picture": ["sea", "lake"], "kind": [COMPARISON, CATCH]})
    check_pictures(answers, study)
    with pytest.raises(AnswersError, match="the picture 'lake'; expected one of sea"):
        check_pictures(answers.assign(kind=COMPARISON), study)
