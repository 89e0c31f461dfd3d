"""Folders that the commands write hold no photographs; links to other folders are followed."""

from pathlib import Path

import pytest

from search.data.own_folders import MARKER, FolderError, mark
from search.data.photographs import DataError, find_photographs
from search.study.folders import locked


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the empty files a.png and below/b.JPG."""
    (tmp_path / "root/below").mkdir(parents=True)
    (tmp_path / "root/a.png").touch()
    (tmp_path / "root/below/b.JPG").touch()
    return tmp_path / "root"


def found(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in find_photographs(str(root))]


def test_a_marked_folder_and_all_below_it_hold_none(root: Path) -> None:
    with locked(root / "results/run", "busy"):
        pass
    (root / "results/run/samples").mkdir()
    (root / "results/run/samples/c.png").touch()
    (root / "results/mine.png").touch()
    assert found(root) == ["a.png", "below/b.JPG", "results/mine.png"]


@pytest.mark.parametrize(
    "names",
    [("run.json", "study.journal"), ("run.json", "trials.parquet"), ("measured.jsonl",),
     ("promotion.json",), ("supernet.safetensors", "curves.csv")],
)  # fmt: skip
def test_folders_of_earlier_versions_hold_none(names: tuple[str, ...], root: Path) -> None:
    for name in names:
        (root / "below" / name).touch()
    assert found(root) == ["a.png"]


def test_a_file_of_another_program_marks_nothing(root: Path) -> None:
    (root / "below/run.json").touch()
    assert found(root) == ["a.png", "below/b.JPG"]


def test_a_folder_of_photographs_is_not_marked(root: Path) -> None:
    with pytest.raises(FolderError, match=r"root: has pictures .* such as a\.png; expected"):
        mark(root)
    (root / "a.png").unlink()
    with pytest.raises(FolderError, match=r"such as below/b\.JPG; expected"):
        mark(root)
    assert not (root / MARKER).exists()


def test_the_folder_itself_may_not_be_marked(root: Path) -> None:
    (root / MARKER).touch()
    with pytest.raises(DataError, match=r"root: was written by codec-search"):
        find_photographs(str(root))
    (root / MARKER).unlink()
    assert len(found(root)) == 2


def test_links_are_followed_and_loops_end(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other/deep").mkdir(parents=True)
    (tmp_path / "other/deep/c.webp").touch()
    (root / "link").symlink_to(tmp_path / "other")
    (root / "below/loop").symlink_to(root)
    (tmp_path / "other/again").symlink_to(tmp_path / "other/deep")
    (root / "broken").symlink_to(tmp_path / "nowhere")
    names = [path.name for path in find_photographs(str(root))]
    assert names == ["a.png", "b.JPG", "c.webp"]
    (tmp_path / "way").symlink_to(root)
    assert len(find_photographs(str(tmp_path / "way"))) == 3


@pytest.mark.parametrize(
    ("where", "said"),
    [("", "folder of photographs '': expected the name of a folder"), (" ", "expected the name"),
     ("a.png", "folder a.png: is a file; expected a folder"), ("nowhere", "no such folder"),
     ("~nobody_at_all/x", "folder ~nobody_at_all/x: no such folder")],
)  # fmt: skip
def test_what_is_no_folder_is_said(
    where: str, said: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(DataError, match=said):
        find_photographs(where)
