from pathlib import Path

import pandas as pd

from search.training.validation import append_validation


def test_a_repeated_validation_replaces_the_first(tmp_path: Path) -> None:
    path = tmp_path / "validation.csv"
    for step, bpp in ((2, 0.5), (4, 0.4), (4, 0.3)):
        append_validation(path, step, pd.DataFrame({"quality": [0.0, 7.0], "bpp": [bpp, 2 * bpp]}))
    table = pd.read_csv(path)
    assert table.columns.tolist() == ["step", "quality", "bpp"]
    assert table["step"].tolist() == [2, 2, 4, 4]
    assert table["bpp"].tolist() == [0.5, 1.0, 0.3, 0.6]
