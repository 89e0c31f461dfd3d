"""Prepared crops on disk: photographs are decoded once, later starts map the crops into memory."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

CROPS = ("train", "select")
"""Arrays of an entry, one uncompressed .npy file each."""
FILES = ("used", "report", "unreadable", "small")
"""Lists of files of an entry, by the hash of their content."""
INDEX = "index.json"


@dataclass(frozen=True)
class Prepared:
    """Crops of photographs, and what became of every file, by the SHA-256 of its content."""

    train: NDArray[np.uint8]
    """Crops [n, 3, H, W] to train on."""
    select: NDArray[np.uint8]
    """Crops [n, 3, H, W] to select by."""
    used: list[str]
    """Distinct photographs, those of `report` among them."""
    report: list[str]
    """Photographs without crops here, held out from training and selection."""
    unreadable: list[str]
    small: list[str]

    @property
    def digest(self) -> str:
        """Hash of the crops and of what is held out; reads all crops."""
        total = hashlib.sha256(" ".join(self.report).encode())
        for crops in (self.train, self.select):
            total.update(str(crops.shape).encode())
            total.update(np.ascontiguousarray(crops).data)
        return total.hexdigest()[:16]


def cached(folder: Path, key: str, prepare: Callable[[], Prepared]) -> Prepared:
    """What `prepare` returns, from `folder` where any process prepared it under `key` before.

    The crops are then read-only and mapped, so that processes share them. One process prepares and
    others wait for it. An entry that is torn or damaged is made again. A folder that cannot be
    written costs later starts the decoding and is no error; what `prepare` raises passes on.
    """
    entry = folder / key
    found = _read(entry)
    if found:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{key}.lock").acquire()
    except OSError:
        return prepare()
    with lock:
        found = _read(entry)
        if found:
            return found
        prepared = prepare()
        try:
            _write(prepared, entry)
        except OSError:
            shutil.rmtree(_partial(entry), ignore_errors=True)
            return prepared
        return _read(entry) or prepared


def _write(prepared: Prepared, entry: Path) -> None:
    """Write an entry beside its place and move it there whole; the lock is held."""
    partial = _partial(entry)
    for old in (partial, entry):
        shutil.rmtree(old, ignore_errors=True)
    partial.mkdir()
    content: dict[str, object] = {name: getattr(prepared, name) for name in FILES}
    for name in CROPS:
        np.save(partial / f"{name}.npy", getattr(prepared, name), allow_pickle=False)
        content[name] = _file_hash(partial / f"{name}.npy")
    index = {"content": content, "sha256": _content_hash(content)}
    (partial / INDEX).write_text(json.dumps(index, indent=1) + "\n")
    partial.rename(entry)


def _partial(entry: Path) -> Path:
    return entry.with_suffix(".partial")


def _read(entry: Path) -> Prepared | None:
    """An entry that is whole, else None; nothing is parsed as an array before its hash agrees."""
    try:
        index = json.loads((entry / INDEX).read_text())
        content = index["content"]
        if index["sha256"] != _content_hash(content):
            return None
        if any(_file_hash(entry / f"{name}.npy") != content[name] for name in CROPS):
            return None
        train, select = (_mapped(entry / f"{name}.npy") for name in CROPS)
        return Prepared(train, select, **{name: content[name] for name in FILES})
    # Valid JSON of another kind raises the last two.
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mapped(path: Path) -> NDArray[np.uint8]:
    """An array in shared, read-only memory; a plain ndarray, which Ray need not copy per task."""
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content_hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
