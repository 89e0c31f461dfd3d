from pathlib import Path

import pandas as pd

from search.looks import add_look


def test_a_look_that_is_made_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "looks.csv"
    for step, bpp in ((2, 0.5), (4, 0.4), (4, 0.3)):
        add_look(path, step, pd.DataFrame({"quality": [0.0, 7.0], "bpp": [bpp, 2 * bpp]}))
    looks = pd.read_csv(path)
    assert looks.columns.tolist() == ["step", "quality", "bpp"]
    assert looks["step"].tolist() == [2, 2, 4, 4]
    assert looks["bpp"].tolist() == [0.5, 1.0, 0.3, 0.6]
