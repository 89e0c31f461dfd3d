"""Tensors in safetensors files with a kind, a version and metadata. Nothing in them is executed.

The safetensors header has one key, which names the kind and version, and its value is JSON. With
several keys a file's bytes would vary, since safetensors does not write them in a fixed order.
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
    """Write a file atomically. `metadata` must fit into JSON. Raises OSError."""
    write_whole(path, safetensors.torch.save(dict(tensors), {key: json.dumps(metadata)}))


def read_tensors(
    path: Path, key: str, error: type[ValueError], kind: str = ""
) -> tuple[Any, dict[str, Tensor]]:
    """Metadata and tensors that `write_tensors` wrote under `key`, such as `codec-search model 1`.

    Messages call the file a `kind`, by default the key's second word. Raises `error` for a file
    that is missing, of another kind or version, or damaged.
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
