"""SHA-256 checksums of files: within a file over all of its bytes, or in a list beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from latency_predictor.writing import write_whole

BLANK = sha256(b"the place of a checksum").hexdigest()
"""The text that stands in a file in place of its checksum while that is computed."""
SUMS = "SHA256SUMS"
"""File that lists the checksums of files beside it, in the form of the program `sha256sum`."""
FIELD = "sha256"
"""Field of a JSON file that contains the file's checksum."""
REMEDY = "restore the file from a copy, or delete it and repeat the command that wrote it"
"""End of the messages about a damaged file."""


class ChecksumError(ValueError):
    """A file's content is not what its checksum says."""


def with_checksum(data: bytes) -> bytes:
    """The bytes of a file, in which BLANK is replaced by the checksum of these bytes."""
    return data.replace(BLANK.encode(), sha256(data).hexdigest().encode(), 1)


def check(data: bytes, checksum: str) -> None:
    """Check the bytes of a file that contain the `checksum` put there by `with_checksum`.

    Raises ChecksumError if any bit of the file has changed.
    """
    blank = data.replace(checksum.encode(errors="replace"), BLANK.encode(), 1)
    if sha256(blank).hexdigest() != checksum:
        raise ChecksumError("its content does not match its checksum")


def json_bytes(content: Mapping[str, Any], indent: int) -> bytes:
    """The bytes of a JSON file with this content and its checksum, which `read_json` checks."""
    return with_checksum((json.dumps({**content, FIELD: BLANK}, indent=indent) + "\n").encode())


def read_json(data: bytes) -> Any:
    """The content of a JSON file without its checksum. Files of earlier versions have none.

    Raises ValueError if the file is no JSON, and ChecksumError if its checksum is wrong.
    """
    content = json.loads(data)
    if isinstance(content, dict) and FIELD in content:
        check(data, str(content.pop(FIELD)))
    return content


def check_listed(path: Path, data: bytes) -> None:
    """Check the bytes of a file against SUMS in its folder, if that lists the file.

    Raises ChecksumError if the listed checksum is another one.
    """
    if not (path.parent / SUMS).is_file():
        return
    for line in (path.parent / SUMS).read_text(errors="replace").splitlines():
        checksum, _, name = line.partition("  ")
        if name == path.name and checksum != sha256(data).hexdigest():
            raise ChecksumError(f"its content does not match {SUMS} beside it")


def write_sums(paths: Iterable[Path]) -> None:
    """List the checksums of all `paths`, which are in one folder, in SUMS beside them."""
    lines = {path: f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths}
    if lines:
        write_whole(next(iter(lines)).with_name(SUMS), "".join(lines.values()).encode())
