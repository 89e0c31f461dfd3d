"""Cache of prepared crops: photographs are decoded once; later runs map the crops into memory."""

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

from latency_predictor.writing import left_behind, whole_folder

CROPS = ("train", "select")
"""Arrays of a cache entry. Each is an uncompressed .npy file."""
FILES = ("used", "report", "unreadable", "transparent", "small", "converted")
"""Lists of photographs in a cache entry. A photograph is named by the hash of its file's
content."""
INDEX = "index.json"


@dataclass(frozen=True)
class Prepared:
    """Crops of photographs, and lists that say how each file was used.

    The lists name a file by the SHA-256 of its content.
    """

    train: NDArray[np.uint8]
    """Crops [n, 3, H, W] for training."""
    select: NDArray[np.uint8]
    """Crops [n, 3, H, W] for selection."""
    used: list[str]
    """Distinct usable photographs, including those in `report`."""
    report: list[str]
    """Photographs held out from training and selection; they have no crops here."""
    unreadable: list[str]
    """Files that could not be decoded."""
    transparent: list[str]
    """Files with transparent pixels."""
    small: list[str]
    """Photographs smaller than a crop."""
    converted: list[str]
    """Usable photographs that were converted to sRGB from other colours."""

    @property
    def digest(self) -> str:
        """Hash of the crops and of the list `report`. Computing the hash reads all crops."""
        total = hashlib.sha256(" ".join(self.report).encode())
        for crops in (self.train, self.select):
            total.update(str(crops.shape).encode())
            total.update(np.ascontiguousarray(crops).data)
        return total.hexdigest()[:16]


def cached(folder: Path, key: str, prepare: Callable[[], Prepared]) -> Prepared:
    """Return the result of `prepare`, cached in `folder` under `key`.

    Cached crops are read-only and memory-mapped, so that processes share them. One process prepares
    an entry while others wait for this entry. An incomplete or damaged entry is prepared again. If
    the folder cannot be written, nothing is cached and no error is raised. Errors that `prepare`
    raises are passed on.
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
            return prepared
        return _read(entry) or prepared


def _write(prepared: Prepared, entry: Path) -> None:
    """Write an entry whole or not at all. The caller holds the lock."""
    for torn in left_behind(entry):
        shutil.rmtree(torn)
    content: dict[str, object] = {name: getattr(prepared, name) for name in FILES}
    with whole_folder(entry) as folder:
        for name in CROPS:
            np.save(folder / f"{name}.npy", getattr(prepared, name), allow_pickle=False)
            content[name] = _file_hash(folder / f"{name}.npy")
        index = {"content": content, "sha256": _content_hash(content)}
        (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n")


def _read(entry: Path) -> Prepared | None:
    """A complete entry, or None. Arrays are parsed only after their hashes have been checked."""
    try:
        index = json.loads((entry / INDEX).read_text())
        content = index["content"]
        if index["sha256"] != _content_hash(content):
            return None
        if any(_file_hash(entry / f"{name}.npy") != content[name] for name in CROPS):
            return None
        train, select = (_mapped(entry / f"{name}.npy") for name in CROPS)
        return Prepared(train, select, **{name: content[name] for name in FILES})
    # KeyError and TypeError come from valid JSON of another structure.
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mapped(path: Path) -> NDArray[np.uint8]:
    """An array in shared, read-only memory; a plain ndarray, so that Ray need not copy it."""
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content_hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
