"""A trained codec as it is used: folded networks, integer scale path, tables, one file."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from space.architecture import LEVELS, Architecture
from space.codec import Codec, EncoderNetwork
from space.payload import Tables
from space.scales import IntegerScales, ScalePath
from space.tensor_file import read_tensors, write_tensors

KEY = "codec-search model 1"
"""Kind and version of the file."""
FILE = "model.safetensors"
"""Name of a model that has a folder of its own."""
ID_BYTES = 8


class ModelError(ValueError):
    """A file that is no model, or a model that cannot code."""


class Model:
    """What encodes and decodes files.

    Its networks may be converted to any float type and moved to any device. What the entropy coder
    depends on are integers, which stay as they are.
    """

    def __init__(
        self, codec: Codec, scales: IntegerScales, tables: Tables, identity: bytes
    ) -> None:
        """Networks of a folded `codec`; use `of` or `load`."""
        self.architecture = codec.architecture
        self.decoder = codec.decoder.eval().requires_grad_(False)
        self.encoder = EncoderNetwork(codec).eval().requires_grad_(False)
        self.scales = scales
        self.tables = tables
        self.id = identity
        """Hash of the architecture and of all weights and tables as trained, ID_BYTES long."""

    @classmethod
    def of(cls, codec: Codec) -> Model:
        """The model of a trained codec, which stays as it is."""
        folded = copy.deepcopy(codec).cpu().fold()
        model = cls(folded, codec.scale_path.integer(), Tables.gaussian(), b"")
        model.id = _digest(model.architecture, model.tensors())[:ID_BYTES]
        return model

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read what `save` wrote, or FILE of a folder; nothing in the file is executed.

        Raises ModelError for a file that is missing, of another kind or version, or damaged.
        """
        path = path / FILE if path.is_dir() else path
        said, tensors = read_tensors(path, KEY, ModelError)
        try:
            return cls._assembled(said, tensors)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: damaged ({error})") from error

    @classmethod
    def _assembled(cls, said: dict[str, str], tensors: dict[str, Tensor]) -> Model:
        """The model of a file's metadata and tensors. Raises ValueError where they disagree."""

        def below(prefix: str) -> dict[str, Any]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        architecture = Architecture.from_json(said["architecture"])
        if _digest(architecture, tensors).hex() != said["digest"]:
            raise ValueError("its weights are not those that were saved")
        with torch.device("meta"):
            codec = Codec(architecture).fold()
        codec.analysis.load_state_dict(below("analysis."), assign=True)
        codec.decoder.load_state_dict(below("decoder."), assign=True)
        scales = ScalePath(architecture, LEVELS).integer()
        scales.load_state_dict(below("scales."))
        return cls(codec, scales, Tables(**below("tables.")), bytes.fromhex(said["id"]))

    def save(self, path: Path) -> None:
        """Write the model as safetensors, whole or not at all. Raises OSError."""
        tensors = self.tensors()
        said = {
            "id": self.id.hex(),
            "digest": _digest(self.architecture, tensors).hex(),
            "architecture": self.architecture.to_json(),
        }
        write_tensors(path, KEY, said, tensors)

    def to(self, *where: Any) -> Model:
        """Move or convert the networks, in place, as `torch.nn.Module.to` does."""
        self.encoder.to(*where)
        self.decoder.to(*where)
        return self

    def tensors(self) -> dict[str, Tensor]:
        """All weights and tables by name, each once."""
        modules = {
            "analysis": self.encoder.analysis, "decoder": self.decoder, "scales": self.scales
        }  # fmt: skip
        named = {
            f"{part}.{name}": value.contiguous()
            for part, module in modules.items()
            for name, value in module.state_dict().items()
        }
        return named | {f"tables.{name}": value for name, value in asdict(self.tables).items()}


def _digest(architecture: Architecture, tensors: dict[str, Tensor]) -> bytes:
    digest = hashlib.sha256(architecture.to_json().encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.digest()
