from dataclasses import replace
from pathlib import Path

import pytest

from search.bench.store import Measured, Store, StoreError

ROW = Measured(
    codec="jpeg", settings="libjpeg 1", photograph="ab" * 32, width=64, height=32, quality=20.0,
    bytes=512, encode_s=0.01, decode_s=0.002, scores={"psnr": 30.5},
)  # fmt: skip


def test_rows_come_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "m")
    others = [replace(ROW, quality=30.0), replace(ROW, settings="libjpeg 2")]
    for row in (ROW, *others):
        store.append(row)
    again = Store(tmp_path / "m")
    assert list(again) == list(store) == [ROW, *others]
    assert again.get(("libjpeg 2", ROW.photograph, 20.0)) == others[1]
    assert again.get(("libjpeg 3", ROW.photograph, 20.0)) is None
    assert ROW.bpp == 2.0


def test_more_scores_join_those_that_are_there(tmp_path: Path) -> None:
    for scores in ({"psnr": 30.5}, {"haarpsi": 0.9}):
        Store(tmp_path / "m").append(replace(ROW, scores=scores))
    (row,) = Store(tmp_path / "m")
    assert row.scores == {"psnr": 30.5, "haarpsi": 0.9}


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_that_a_kill_left_unfinished_is_cut_off(tmp_path: Path, cut: int) -> None:
    store = Store(tmp_path / "m")
    store.append(ROW)
    store.append(replace(ROW, quality=30.0))
    whole = (tmp_path / "m").read_bytes()
    (tmp_path / "m").write_bytes(whole[:-cut])
    again = Store(tmp_path / "m")
    assert list(again) == [ROW]
    again.append(replace(ROW, quality=30.0))
    assert (tmp_path / "m").read_bytes() == whole


@pytest.mark.parametrize("text", ["notes\n", '{"codec": "jpeg"}\n', "[1]\n"])
def test_a_foreign_file_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    (tmp_path / "m").write_text(text)
    with pytest.raises(StoreError, match="line 1: not a measurement of bench"):
        Store(tmp_path / "m")
    assert (tmp_path / "m").read_text() == text
