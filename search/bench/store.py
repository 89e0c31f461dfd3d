"""What `bench` has measured, in a file that only grows, so that a killed run loses nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

FILE = "measured.jsonl"

Key = tuple[str, str, float]
"""A codec's settings, a photograph's hash, a quality."""


class StoreError(ValueError):
    """A file that is not what `Store` writes."""


@dataclass(frozen=True)
class Measured:
    """One photograph, coded once."""

    codec: str
    settings: str
    """Versions and settings of the codec, or the id of a model."""
    photograph: str
    """SHA-256 of size and pixels."""
    width: int
    height: int
    quality: float
    bytes: int
    encode_s: float
    """CPU seconds of encoding, of all threads together."""
    decode_s: float
    scores: dict[str, float]
    """Score by metric name."""

    @property
    def key(self) -> Key:
        """By which the cache finds it."""
        return self.settings, self.photograph, self.quality

    @property
    def bpp(self) -> float:
        """Bits of the whole file per pixel."""
        return 8 * self.bytes / (self.width * self.height)


class Store:
    """JSON Lines of measurements; of equal keys the last is valid, with all scores."""

    def __init__(self, path: Path) -> None:
        """Read what is there. Raises OSError, and StoreError for a file of another kind.

        A last line that a kill left unfinished is cut off.
        """
        self._path = path
        self._found: dict[Key, Measured] = {}
        text = path.read_bytes() if path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                self._add(Measured(**json.loads(line)))
            except (TypeError, ValueError) as error:
                raise StoreError(
                    f"{path}, line {number}: not a measurement of bench ({error}); "
                    "move the file away or choose another --out"
                ) from error
        if len(whole) < len(text):
            os.truncate(path, len(whole))

    def get(self, key: Key) -> Measured | None:
        """What is known of a key."""
        return self._found.get(key)

    def __iter__(self) -> Iterator[Measured]:
        """Everything that is valid."""
        return iter(self._found.values())

    def append(self, measured: Measured) -> None:
        """Write a measurement so that it outlasts a kill. Raises OSError."""
        with self._path.open("ab") as file:
            file.write(json.dumps(asdict(measured)).encode() + b"\n")
        self._add(measured)

    def _add(self, new: Measured) -> None:
        known = self._found.get(new.key)
        scores = (known.scores if known else {}) | new.scores
        self._found[new.key] = replace(new, scores=scores)
