import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.data.crop_cache import Prepared, cached

KEY = "a1b2"


def prepared(seed: int = 0) -> Prepared:
    rng = np.random.default_rng(seed)
    train, select = (rng.integers(0, 256, (n, 3, 4, 4), dtype=np.uint8) for n in (5, 2))
    return Prepared(train, select, ["aa", "bb", "cc"], ["cc"], ["dd"], ["ff"], ["ee"], ["aa"])


def never() -> Prepared:
    raise AssertionError("prepared again")


def slowly(folder: Path) -> str:
    """Digest of the cached crops; leaves a line where it had to prepare them."""

    def prepare() -> Prepared:
        with (folder / "prepared.txt").open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(1)
        return prepared()

    return cached(folder / "crops", KEY, prepare).digest


def die(folder: Path) -> None:
    """Be killed while the second array is written."""
    save = np.save

    def save_one(file: Path, *rest: Any, **options: Any) -> None:
        if file.name == "select.npy":
            os.kill(os.getpid(), signal.SIGKILL)
        save(file, *rest, **options)

    np.save = save_one  # type: ignore[assignment]
    cached(folder, KEY, prepared)


def same(one: Prepared, other: Prepared) -> bool:
    equal = np.array_equal(one.train, other.train) and np.array_equal(one.select, other.select)
    return equal and all(
        getattr(one, name) == getattr(other, name)
        for name in ("used", "report", "unreadable", "small")
    )


def test_what_is_prepared_comes_back_mapped(tmp_path: Path) -> None:
    first = cached(tmp_path, KEY, prepared)
    again = cached(tmp_path, KEY, never)
    assert same(first, prepared())
    assert same(again, prepared())
    assert again.digest == prepared().digest
    for crops in (again.train, again.select):
        # Ray copies subclasses of ndarray for every task.
        assert type(crops) is np.ndarray
        assert isinstance(crops.base, np.memmap)
        assert not crops.flags.writeable


def test_another_key_is_prepared_by_itself(tmp_path: Path) -> None:
    cached(tmp_path, KEY, prepared)
    assert same(cached(tmp_path, "c3", lambda: prepared(1)), prepared(1))
    assert same(cached(tmp_path, KEY, never), prepared())


def test_the_digest_tells_crops_shapes_and_report_apart() -> None:
    one = prepared()
    variants = [
        one,
        prepared(1),
        Prepared(one.train[:4], one.select, one.used, one.report, [], [], [], []),
        Prepared(one.train.reshape(5, 3, 2, 8), one.select, one.used, one.report, [], [], [], []),
        Prepared(one.train, one.select, one.used, ["bb"], [], [], [], []),
    ]
    assert len({variant.digest for variant in variants}) == len(variants)
    skipped = Prepared(one.train, one.select, one.used, one.report, [], ["ff"], ["ee"], ["aa"])
    assert skipped.digest == one.digest


@pytest.mark.slow
def test_processes_that_start_together_prepare_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        digests = pool.map(slowly, [tmp_path, tmp_path], chunksize=1)
    assert digests == [prepared().digest] * 2
    assert len((tmp_path / "prepared.txt").read_text().splitlines()) == 1


def test_a_process_that_is_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=die, args=(tmp_path,))
    process.start()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    (torn,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert [path.name for path in torn.rglob("*.npy")] == ["train.npy"]
    assert same(cached(tmp_path, KEY, prepared), prepared())
    assert not torn.exists()
    assert same(cached(tmp_path, KEY, never), prepared())


@pytest.mark.parametrize("name", ["train.npy", "select.npy", "index.json"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0), bit=st.integers(0, 7), cut=st.booleans())
def test_any_damage_is_made_good(
    name: str, place: int, bit: int, cut: bool, tmp_path: Path
) -> None:
    cached(tmp_path, KEY, prepared)
    path = tmp_path / KEY / name
    content = bytearray(path.read_bytes())
    place %= len(content)
    content[place] ^= 1 << bit
    path.write_bytes(content[:place] if cut else content)
    assert same(cached(tmp_path, KEY, prepared), prepared())
    assert same(cached(tmp_path, KEY, never), prepared())


@pytest.mark.parametrize(
    "index", ["[]", "null", '{"content": []}', '{"content": {}, "sha256": "0"}', "\udcff", "[" * 99]
)
def test_an_index_of_another_kind_is_made_good(index: str, tmp_path: Path) -> None:
    cached(tmp_path, KEY, prepared)
    (tmp_path / KEY / "index.json").write_bytes(index.encode(errors="surrogateescape"))
    assert same(cached(tmp_path, KEY, prepared), prepared())


def test_an_entry_of_other_crops_is_not_believed(tmp_path: Path) -> None:
    """Files that are whole but of another entry."""
    cached(tmp_path, KEY, prepared)
    cached(tmp_path, "c3", lambda: prepared(1))
    shutil.copy(tmp_path / "c3/train.npy", tmp_path / KEY / "train.npy")
    index = json.loads((tmp_path / KEY / "index.json").read_text())
    index["content"]["train"] = json.loads((tmp_path / "c3/index.json").read_text())["content"][
        "train"
    ]
    (tmp_path / KEY / "index.json").write_text(json.dumps(index))
    assert same(cached(tmp_path, KEY, prepared), prepared())


def test_mapped_crops_outlive_their_folder(tmp_path: Path) -> None:
    cached(tmp_path, KEY, prepared)
    mapped = cached(tmp_path, KEY, never)
    shutil.rmtree(tmp_path / KEY)
    assert same(mapped, prepared())


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    assert same(cached(tmp_path / "file/crops", KEY, prepared), prepared())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert same(cached(tmp_path, KEY, prepared), prepared())
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    monkeypatch.undo()
    assert same(cached(tmp_path, KEY, prepared), prepared())


def test_errors_of_the_preparation_pass_on(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="prepared again"):
        cached(tmp_path, KEY, never)
    assert same(cached(tmp_path, KEY, prepared), prepared())
