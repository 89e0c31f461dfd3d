from pathlib import Path

import pandas as pd
import pytest

from search.training.checkpoint import CheckpointError
from search.training.validation import append_validation


def test_a_repeated_validation_replaces_the_first(tmp_path: Path) -> None:
    path = tmp_path / "validation.csv"
    for step, bpp in ((2, 0.5), (4, 0.4), (4, 0.3)):
        append_validation(path, step, pd.DataFrame({"quality": [0.0, 7.0], "bpp": [bpp, 2 * bpp]}))
    table = pd.read_csv(path)
    assert table.columns.tolist() == ["step", "quality", "bpp"]
    assert table["step"].tolist() == [2, 2, 4, 4]
    assert table["bpp"].tolist() == [0.5, 1.0, 0.3, 0.6]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00\x81", b"a,b\n1,2\n", b'step\n"', b"step\nx"]
)
def test_a_damaged_table_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "validation.csv").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"validation\.csv: is broken \(.*; delete it"):
        append_validation(tmp_path / "validation.csv", 3, pd.DataFrame({"bpp": [1.0]}))
    assert (tmp_path / "validation.csv").read_bytes() == content
