"""Tensors in safetensors files that say what they are; nothing in them is executed.

The metadata has one key, kind and version, whose value is JSON: safetensors writes several keys in
no order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from space.writing import write_whole


def write_tensors(path: Path, key: str, said: Any, tensors: Mapping[str, Tensor]) -> None:
    """Write a file whole or not at all; `said` is what JSON can hold. Raises OSError."""
    write_whole(path, safetensors.torch.save(dict(tensors), {key: json.dumps(said)}))


def read_tensors(path: Path, key: str, error: type[ValueError]) -> tuple[Any, dict[str, Tensor]]:
    """What `write_tensors` wrote under `key`, such as `codec-search model 1`.

    Raises `error` for a file that is missing, of another kind or version, or torn.
    """
    kind = key.split()[1]
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as cause:
        raise error(f"{path}: no such {kind}") from cause
    except (OSError, safetensors.SafetensorError) as cause:
        raise error(f"{path}: not a {kind}, or a damaged one ({cause})") from cause
    if key not in metadata:
        found = ", ".join(metadata) or "nothing"
        raise error(f"{path}: says to be {found}, only {key!r} can be read")
    try:
        return json.loads(metadata[key]), tensors
    except ValueError as cause:
        raise error(f"{path}: damaged ({cause})") from cause
