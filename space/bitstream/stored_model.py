"""The content of a model file as NumPy arrays, which need no torch.

A compact file stores the kernels of most convolutions (`int8.COMPACT`) as int8, with a step per
output channel, and all other weights in half precision. A model computes with exactly the stored
values: a weight is its integer times its step in float32.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latency_predictor.errors import UserError
from space.architecture import Architecture
from space.tensor_file import read_arrays

MODEL_KEY, FORMER_MODEL_KEY = "codec-search model 3", "codec-search model 1"
"""Kind and version of a model file, and those of the first version, which has no checksum."""
EARLIER_MODEL_KEYS = ("codec-search model 2",)
"""Kinds and versions of earlier files that have a checksum. In version 2, no file is compact."""
MODEL_FILE = "model.safetensors"
"""Name of the model file in a model's folder."""
ID_BYTES = 8
"""Length of a model's id, in bytes."""
FIRST_LAMBDAS = (1e-3, 1e-1)
"""Lambdas of the models whose files do not name them, which had those of the search."""
STEPS = "int8_steps."
"""Prefix of the names of the steps of weights that are stored as int8."""


class ModelError(UserError):
    """A model file that cannot be read, or a model that cannot code images."""


@dataclass(frozen=True)
class Description:
    """Description of the tensors in a model file."""

    architecture: Architecture
    id: bytes
    """First ID_BYTES bytes of the hash of the architecture, weights and tables, as trained."""
    lambdas: tuple[float, float]
    """Lambda of the lowest and the highest quality level in training."""

    def metadata(self, digest: bytes) -> dict[str, str]:
        """The metadata of a file whose tensors have this digest."""
        return {
            "id": self.id.hex(),
            "digest": digest.hex(),
            "architecture": self.architecture.to_json(),
            "lambdas": json.dumps(self.lambdas),
        }


@dataclass(frozen=True)
class StoredModel:
    """A model file: its description, and its tensors as they are stored."""

    description: Description
    tensors: dict[str, NDArray[Any]]

    @classmethod
    def load(cls, path: Path) -> StoredModel:
        """Read a model file. If `path` is a folder, read MODEL_FILE in it.

        Nothing in the file is executed. Raises ModelError if the file is missing, of another kind
        or version, or damaged.
        """
        path = file_of(path)
        metadata, tensors = read_arrays(
            path, MODEL_KEY, ModelError, former=FORMER_MODEL_KEY, earlier=EARLIER_MODEL_KEYS
        )
        try:
            parts = ((name, f"torch.{x.dtype}", x.shape, x.data) for name, x in tensors.items())
            return cls(described(metadata, parts), tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: damaged ({error})") from error

    def weights(self, prefix: str) -> dict[str, NDArray[np.float32]]:
        """The weights whose names begin with `prefix`, by the rest of their names."""
        found = {}
        for name, value in self.tensors.items():
            if name.startswith(prefix):
                weight = value.astype(np.float32)
                if (step := self.tensors.get(STEPS + name)) is not None:
                    weight *= step
                found[name.removeprefix(prefix)] = weight
        return found


def file_of(path: Path) -> Path:
    """The model file of `path`, which is the file or its folder."""
    return path / MODEL_FILE if path.is_dir() else path


Part = tuple[str, str, tuple[int, ...], Any]
"""Name, type (as torch names it), shape and bytes of a tensor."""


def digest_of(architecture: Architecture, parts: Iterable[Part]) -> bytes:
    """SHA-256 of an architecture and all tensors of a model."""
    digest = hashlib.sha256(architecture.to_json().encode())
    for name, dtype, shape, data in sorted(parts, key=lambda part: part[0]):
        digest.update(f"{name} {dtype} {tuple(shape)}".encode())
        digest.update(data)
    return digest.digest()


def described(metadata: Mapping[str, str], parts: Iterable[Part]) -> Description:
    """The description in a file's metadata.

    Raises KeyError, TypeError or ValueError if something is missing, or if the tensors are not
    those that were saved.
    """
    architecture = Architecture.from_json(metadata["architecture"])
    if digest_of(architecture, parts).hex() != metadata["digest"]:
        raise ValueError("its weights are not those that were saved")
    identity = bytes.fromhex(metadata["id"])
    if len(identity) != ID_BYTES:
        raise ValueError(f"its id has {len(identity)} bytes, expected {ID_BYTES}")
    return Description(architecture, identity, _lambdas(metadata))


def _lambdas(metadata: Mapping[str, str]) -> tuple[float, float]:
    if "lambdas" not in metadata:
        return FIRST_LAMBDAS
    try:
        low, high = json.loads(metadata["lambdas"])
        return float(low), float(high)
    except (OverflowError, RecursionError) as error:
        raise ValueError(f"its lambdas are no two numbers ({error})") from error
