"""Training checkpoints: weights and optimiser moments in a safetensors file, without pickle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latency_predictor.errors import UserError
from space.tensor_file import read_tensors, write_tensors

KEY, FORMER_KEY = "codec-search checkpoint 2", "codec-search checkpoint 1"
"""File kind and format version of checkpoints, and those of earlier versions, which have no
checksum."""
CURVE = "curve"
"""Name of the tensor with the losses of all steps. Losses of terms that are not used are NaN."""
SAVE_EVERY_S = 60.0
"""Seconds between checkpoints, and so the most training time that an interruption can lose."""


class CheckpointError(UserError):
    """A checkpoint is unreadable, or belongs to a training with other settings."""


def save(
    path: Path,
    fingerprint: Mapping[str, Any],
    metadata: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> None:
    """Write a checkpoint atomically. `load` then requires an equal `fingerprint`.

    Raises NotFinite, and leaves an earlier checkpoint as it is, if any weight or moment is NaN or
    infinite.
    """
    contiguous = {name: value.detach().contiguous() for name, value in tensors.items()}
    write_tensors(path, KEY, {"about": dict(fingerprint), **metadata}, contiguous, {CURVE})


def load(path: Path, fingerprint: Mapping[str, Any], other: str) -> tuple[Any, dict[str, Tensor]]:
    """Read the metadata and tensors that `save` wrote.

    Raises CheckpointError if the file is not a checkpoint or was saved with a different
    `fingerprint`. The message names `other`, the setting that starts a separate training.
    """
    metadata, tensors = read(path)
    saved = metadata.get("about") if isinstance(metadata, dict) else None
    if not isinstance(saved, dict):
        raise CheckpointError(f"{path}: damaged, or written by another version of the code")
    changed = [name for name in fingerprint if saved.get(name) != fingerprint[name]]
    if changed:
        raise CheckpointError(
            f"{path.parent} was started with other values of {', '.join(changed)}; restore them "
            f"to continue it, or start another training with {other}"
        )
    return metadata, tensors


def read(path: Path) -> tuple[Any, dict[str, Tensor]]:
    """Read the metadata and tensors of a checkpoint of any training. Raises CheckpointError."""
    return read_tensors(path, KEY, CheckpointError, former=FORMER_KEY, may_be_nan={CURVE})


@contextmanager
def restoring(
    path: Path, fingerprint: Mapping[str, Any], other: str
) -> Iterator[tuple[Any, dict[str, Tensor]]]:
    """Yield metadata and tensors from `load` to a `with` block that restores a training from them.

    Raises CheckpointError as `load` does, and also if the block fails because content is missing or
    does not fit.
    """
    metadata, tensors = load(path, fingerprint, other)
    try:
        yield metadata, tensors
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"{path}: damaged, or written by another version of the code ({error})"
        ) from error


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The `tensors`, by their names with `prefix` in front."""
    return {f"{prefix}{name}": value for name, value in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those `tensors` whose names start with `prefix`, by their names without the prefix."""
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}


def moments(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """Adam's state of every weight, as tensors whose names start with `prefix`."""
    return {
        f"{prefix}{index}.{name}": value
        for index, kept in optimiser.state_dict()["state"].items()
        for name, value in kept.items()
    }


def restore_moments(
    optimiser: torch.optim.Optimizer, prefix: str, tensors: Mapping[str, Tensor]
) -> None:
    """Restore Adam's state from the tensors of `moments`. The optimiser keeps its settings."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in below(prefix, tensors).items():
        index, _, moment = name.partition(".")
        state.setdefault(int(index), {})[moment] = value
    optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
    for weight, kept in optimiser.state.items():
        for name, value in kept.items():
            if value.shape == weight.shape:
                # Fused Adam assumes that weights and moments have the same memory layout.
                kept[name] = torch.empty_like(weight).copy_(value)
