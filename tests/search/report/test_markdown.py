import pandas as pd

from search.report.markdown import markdown_table


def test_cells_stand_as_they_are_written() -> None:
    table = markdown_table(("", "share", "n"), [["mean", "0.10", 1], ["worst", "", 20]])
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert lines[0] == ["", "share", "n"]
    assert lines[2:] == [["mean", "0.10", "1"], ["worst", "", "20"]]
    assert pd.Series(lines[1]).str.fullmatch("-+").all()
