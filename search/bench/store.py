"""Append-only file of the measurements of `bench`, so that an interrupted run loses nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from latency_predictor.errors import UserError

FILE = "measured.jsonl"

Key = tuple[str, str, float]
"""Codec settings, photograph hash and quality."""


class StoreError(UserError):
    """The file was not written by `Store`, or is damaged."""


@dataclass(frozen=True)
class Measured:
    """Measurement of one photograph, coded once."""

    codec: str
    settings: str
    """Versions and settings of the codec, or the id of a model."""
    photograph: str
    """SHA-256 of its size and pixels."""
    width: int
    height: int
    quality: float
    bytes: int
    encode_s: float
    """CPU seconds of encoding, summed over threads."""
    decode_s: float
    """CPU seconds of decoding, summed over threads."""
    scores: dict[str, float]
    """Scores by metric name."""

    @property
    def key(self) -> Key:
        """Key in the store."""
        return self.settings, self.photograph, self.quality

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file."""
        return 8 * self.bytes / (self.width * self.height)


_MEASURED = TypeAdapter(Measured)


class Store:
    """Measurements in a JSON Lines file.

    Several lines may have the same key. Their measurement is that of the last line, with the scores
    of all these lines.
    """

    def __init__(self, path: Path) -> None:
        """Read existing measurements. Raises OSError, and StoreError if the file is invalid.

        An incomplete last line, left by an interruption, is removed.
        """
        self._path = path
        self._found: dict[Key, Measured] = {}
        text = path.read_bytes() if path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                self._add(_MEASURED.validate_json(line))
            except ValidationError as error:
                why = error.errors(include_url=False)[0]["msg"]
                raise StoreError(
                    f"{path}, line {number}: not a measurement of bench ({why}); move the file "
                    "away or choose another --out"
                ) from error
        if len(whole) < len(text):
            os.truncate(path, len(whole))

    def get(self, key: Key) -> Measured | None:
        """The measurement for a key, or None."""
        return self._found.get(key)

    def __iter__(self) -> Iterator[Measured]:
        """Iterate over the measurements of all keys."""
        return iter(self._found.values())

    def append(self, measured: Measured) -> None:
        """Append a measurement to the file. Raises an OSError that names the file."""
        try:
            with self._path.open("ab") as file:
                file.write(json.dumps(asdict(measured)).encode() + b"\n")
        except OSError as error:
            why = error.strerror or error
            raise OSError(f"{self._path}: cannot be written ({why})") from error
        self._add(measured)

    def _add(self, new: Measured) -> None:
        known = self._found.get(new.key)
        scores = (known.scores if known else {}) | new.scores
        self._found[new.key] = replace(new, scores=scores)
