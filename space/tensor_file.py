"""Safetensors files that hold tensors, metadata, and the kind and version of the file.

Reading executes nothing in a file. The safetensors header of a file has a single key, such as
`codec-search model 1`, which names the file's kind and version. The value of the key is the
metadata as JSON. With several keys, the bytes of a file would vary from one writing to the next,
because safetensors writes keys in no fixed order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from latency_predictor.writing import write_whole


def write_tensors(path: Path, key: str, metadata: Any, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors and metadata to a file atomically.

    `key` names the file's kind and version. `metadata` must be representable as JSON. Raises
    OSError if the file cannot be written.
    """
    write_whole(path, safetensors.torch.save(dict(tensors), {key: json.dumps(metadata)}))


def read_tensors(
    path: Path, key: str, error: type[ValueError], kind: str = ""
) -> tuple[Any, dict[str, Tensor]]:
    """Read the metadata and tensors of a file that `write_tensors` wrote with the same `key`.

    `kind` is the noun for such a file in error messages, by default the second word of `key`.
    Raises `error` if the file is missing or damaged, or if `key` is not its key.
    """
    kind = kind or key.split()[1]
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as cause:
        raise error(f"{path}: no such {kind}") from cause
    except (OSError, safetensors.SafetensorError) as cause:
        raise error(f"{path}: not a {kind}, or a damaged one ({cause})") from cause
    if key not in header:
        found = ", ".join(header) or "of no known kind"
        raise error(f"{path}: the file is {found}, but only {key!r} can be read")
    try:
        return json.loads(header[key]), tensors
    except ValueError as cause:
        raise error(f"{path}: damaged ({cause})") from cause
