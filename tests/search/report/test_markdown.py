from search.report.markdown import markdown_table


def test_cells_stand_as_they_are_written() -> None:
    table = markdown_table(("", "share", "n"), [["mean", "0.10", 1], ["worst", "", 20]])
    assert table == "| | share | n |\n|---|---|---|\n| mean | 0.10 | 1 |\n| worst |  | 20 |"
