"""A trained codec as it is used: folded networks, integer scale path, tables, one file."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from space.architecture import Architecture
from space.codec import Codec, EncoderNetwork
from space.payload import Tables
from space.scales import TABLES, IntegerLayer, IntegerScales
from space.writing import write_whole

KEY = "codec-search model 1"
"""Kind and version of the file: the one key of its metadata, whose value is the architecture."""
ID_BYTES = 8


class ModelError(ValueError):
    """A file that is no model, or a model that cannot code."""


class Model(nn.Module):
    """What encodes and decodes files.

    Networks may be converted to any float type and moved to any device; what the entropy coder
    depends on is integers, which such conversions leave alone.
    """

    def __init__(self, codec: Codec, scales: IntegerScales, tables: Tables) -> None:
        """Networks of a folded `codec`; use `of` or `load`."""
        super().__init__()
        self.architecture = codec.architecture
        self.decoder = codec.decoder
        self.encoder = EncoderNetwork(codec)
        self.scales = scales
        self.tables = tables
        self.id = _digest(codec.architecture, self.tensors())
        """Hash of the architecture and all weights and tables, ID_BYTES long."""
        self.eval().requires_grad_(False)

    @classmethod
    def of(cls, codec: Codec) -> Model:
        """The model of a trained codec, which stays as it is."""
        folded = copy.deepcopy(codec).cpu().fold()
        return cls(folded, codec.scale_path.integer(), Tables.gaussian())

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read what `save` wrote; nothing in the file is executed.

        Raises ModelError for a file that is missing, of another kind or version, or damaged.
        """
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except FileNotFoundError as error:
            raise ModelError(f"{path}: no such model") from error
        except (OSError, safetensors.SafetensorError) as error:
            raise ModelError(f"{path}: not a model, or a damaged one ({error})") from error
        if KEY not in metadata:
            found = ", ".join(metadata) or "nothing"
            raise ModelError(f"{path}: says to be {found}, only {KEY!r} can be read")
        try:
            return cls._assembled(Architecture.from_json(metadata[KEY]), tensors)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: its weights and architecture disagree ({error})") from error

    def save(self, path: Path) -> None:
        """Write the model as safetensors, whole or not at all. Raises OSError."""
        metadata = {KEY: self.architecture.to_json()}
        write_whole(path, safetensors.torch.save(self.tensors(), metadata))

    def tensors(self) -> dict[str, Tensor]:
        """All weights and tables by name, each once."""
        parts = {
            "analysis": self.encoder.analysis,
            "decoder": self.decoder,
            "scales": self.scales,
        }
        named = {
            f"{part}.{name}": value.contiguous()
            for part, module in parts.items()
            for name, value in module.state_dict().items()
        }
        return named | {f"tables.{name}": value for name, value in asdict(self.tables).items()}

    @classmethod
    def _assembled(cls, architecture: Architecture, tensors: dict[str, Tensor]) -> Model:
        def below(prefix: str) -> dict[str, Any]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        with torch.device("meta"):
            codec = Codec(architecture).fold()
        codec.analysis.load_state_dict(below("analysis."), assign=True)
        codec.decoder.load_state_dict(below("decoder."), assign=True)
        layers = 1 if architecture.scale_path == "linear" else 2
        scales = IntegerScales(
            [IntegerLayer(**below(f"scales.layers.{i}.")) for i in range(layers)],
            tensors["scales.base"],
            tensors["scales.meta"],
        )
        tables = Tables(**below("tables."))
        if not len(tables.cdfs) == len(tables.lengths) == len(tables.offsets) == TABLES:
            raise ValueError(f"expected {TABLES} tables")
        return cls(codec, scales, tables)


def _digest(architecture: Architecture, tensors: dict[str, Tensor]) -> bytes:
    digest = hashlib.sha256(architecture.to_json().encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.digest()[:ID_BYTES]
