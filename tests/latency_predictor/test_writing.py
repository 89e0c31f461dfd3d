import errno
import os
from pathlib import Path

import pytest

from latency_predictor.writing import check_writable, left_behind, whole_folder, write_whole


def test_a_file_is_written_or_replaced(tmp_path: Path) -> None:
    for data in (b"first", b"second"):
        write_whole(tmp_path / "a", data)
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", data)]


def test_it_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_whole(tmp_path / "a", b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_neighbours_are_left_alone(tmp_path: Path) -> None:
    for name in ("a.partial", ".a.", "partial"):
        (tmp_path / name).write_bytes(b"mine")
    write_whole(tmp_path / "a", b"new")
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == [b"mine"] * 3 + [b"new"]


def test_a_full_disk_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "a").write_bytes(b"older")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"a: cannot be written \(No space left on device\)"):
        write_whole(tmp_path / "a", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"older"]


@pytest.mark.parametrize("name", ["missing/a", "file/a", "folder"])
def test_places_that_cannot_be_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=rf"{name}: cannot be written \("):
        write_whole(tmp_path / name, b"data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def fill(path: Path, *names: str) -> None:
    with whole_folder(path) as folder:
        for name in names:
            (folder / name).write_text(name)


def test_a_folder_is_written_or_replaced(tmp_path: Path) -> None:
    for names in (["first", "both"], ["second", "both"]):
        fill(tmp_path / "a", *names)
        assert [path.name for path in tmp_path.iterdir()] == ["a"]
        assert {path.name for path in (tmp_path / "a").iterdir()} == set(names)


def test_a_failure_leaves_the_older_folder(tmp_path: Path) -> None:
    fill(tmp_path / "a", "older")

    def fill_the_disk() -> None:
        with whole_folder(tmp_path / "a") as folder:
            (folder / "newer").touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"a: cannot be written \(No space left on device\)"):
        fill_the_disk()
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")] == ["a", "a/older"]


def test_what_killed_processes_left_is_found(tmp_path: Path) -> None:
    for name in (".a[1].x7/partial", ".a1.x7", "a[1]", "a[1].lock"):
        (tmp_path / name).mkdir(parents=True)
    assert left_behind(tmp_path / "a[1]") == [tmp_path / ".a[1].x7"]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 246])
def test_the_longest_names_are_written(name: str, tmp_path: Path) -> None:
    write_whole(tmp_path / name, b"data")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_is_too_long_is_said_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"x: cannot be written \(File name too long\)"):
        check_writable(tmp_path / ("x" * 256), tmp_path)
    assert list(tmp_path.iterdir()) == []
