"""Checkpoints of trainings: weights and moments in one safetensors file that executes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from space.tensor_file import read_tensors, write_tensors

KEY = "codec-search checkpoint 1"
"""Kind and version of a checkpoint."""


class CheckpointError(ValueError):
    """A checkpoint that this training cannot go on from."""


def save(
    path: Path, about: Mapping[str, Any], said: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write a checkpoint, whole or not at all; `about` must be equal where it is resumed."""
    whole = {name: value.detach().contiguous() for name, value in tensors.items()}
    write_tensors(path, KEY, {"about": dict(about), **said}, whole)


def load(path: Path, about: Mapping[str, Any], other: str) -> tuple[Any, dict[str, Tensor]]:
    """What `save` wrote, `said` and tensors.

    Raises CheckpointError for anything else, and where it was begun with another `about`; `other`
    is the setting that begins another training.
    """
    said, tensors = read_tensors(path, KEY, CheckpointError)
    begun = said.get("about") if isinstance(said, dict) else None
    if not isinstance(begun, dict):
        raise CheckpointError(f"{path}: damaged, or of other code")
    changed = [name for name in about if begun.get(name) != about[name]]
    if changed:
        raise CheckpointError(
            f"{path.parent} was begun with other values of {', '.join(changed)}; "
            f"{other} starts another"
        )
    return said, tensors


def moments(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """What Adam keeps per weight, by names that begin with `prefix`."""
    return {
        f"{prefix}{index}.{name}": value
        for index, kept in optimiser.state_dict()["state"].items()
        for name, value in kept.items()
    }


def restore_moments(
    optimiser: torch.optim.Optimizer,
    prefix: str,
    tensors: Mapping[str, Tensor],
    groups: list[dict[str, Any]],
) -> None:
    """Give Adam back what `moments` took, with the settings of parameter `groups`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(prefix):
            index, _, moment = name.removeprefix(prefix).partition(".")
            state.setdefault(int(index), {})[moment] = value
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    for weight, kept in optimiser.state.items():
        for name, value in kept.items():
            if value.shape == weight.shape:
                # Fused Adam walks through memory and takes weights and moments for equally laid.
                kept[name] = torch.empty_like(weight).copy_(value)
