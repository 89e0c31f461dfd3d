"""Read the text of a file of measurements, and JSON in it."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latency_predictor.errors import UserError


class ProfileFileError(UserError):
    """A file of measurements cannot be used. The message names the file, the line and the field."""


def read_text(path: Path, what: str) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte-order mark.

    `what` is the role of the file in the message of an error. Raises `ProfileFileError`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProfileFileError(f"cannot read {what} {str(path)!r}: {error}") from error
    # Excel's "Unicode Text" is UTF-16. A mark without text is no such file.
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and len(data) > 2
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ProfileFileError(
            f"cannot read {what} {str(path)!r}, line {line}: not UTF-8 text"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def load_json(text: str, where: str) -> Any:
    """The content of JSON text. Raises `ProfileFileError`; the message begins with `where`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProfileFileError(f"{where}: not JSON: {error}") from error


def first_object(text: str) -> Mapping[str, Any]:
    """The JSON object on the first line that is not blank, or an empty one if there is none."""
    try:
        found = load_json(text.lstrip().partition("\n")[0], "")
    except ProfileFileError:
        return {}
    return found if isinstance(found, Mapping) else {}
