"""A trained codec in one file: folded networks, integer scale path and entropy-coding tables."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latency_predictor.errors import UserError
from space.architecture import LEVELS, Architecture
from space.codec.codec import LAMBDA_HIGH, LAMBDA_LOW, Codec, EncoderNetwork
from space.codec.payload import Tables
from space.codec.scales import IntegerScales, ScalePath
from space.tensor_file import read_tensors, write_tensors

MODEL_KEY, FORMER_MODEL_KEY = "codec-search model 2", "codec-search model 1"
"""Kind and version of a model file, and those of earlier versions, which have no checksum."""
MODEL_FILE = "model.safetensors"
"""Name of the model file in a model's folder."""
ID_BYTES = 8
"""Length of a model's id, in bytes."""


class ModelError(UserError):
    """A model file that cannot be read, or a model that cannot code images."""


class Model:
    """A trained codec that encodes and decodes files.

    The networks may be converted to any float type and moved to any device. Entropy coding depends
    on integers alone, and these stay the same.
    """

    def __init__(
        self,
        codec: Codec,
        scales: IntegerScales,
        tables: Tables,
        identity: bytes,
        lambdas: tuple[float, float] = (LAMBDA_LOW, LAMBDA_HIGH),
    ) -> None:
        """Use `of` or `load` instead. `codec` must be folded."""
        self.architecture = codec.architecture
        self.decoder = codec.decoder.eval().requires_grad_(False)
        self.encoder = EncoderNetwork(codec).eval().requires_grad_(False)
        self.scales = scales
        self.tables = tables
        self.id = identity
        """First ID_BYTES bytes of the hash of the architecture, weights and tables, as trained."""
        self.lambdas = lambdas
        """Lambda of the lowest and the highest quality level in training, as `LAMBDA_LOW`."""

    @classmethod
    def of(cls, codec: Codec, lambdas: tuple[float, float] = (LAMBDA_LOW, LAMBDA_HIGH)) -> Model:
        """Make a model from a trained codec. The codec itself is not changed."""
        folded = copy.deepcopy(codec).cpu().fold()
        model = cls(folded, codec.scale_path.integer(), Tables.gaussian(), b"", lambdas)
        model.id = _digest(model.architecture, model.tensors())[:ID_BYTES]
        return model

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read a model file that `save` wrote. If `path` is a folder, read MODEL_FILE in it.

        Nothing in the file is executed. Raises ModelError if the file is missing, of another kind
        or version, or damaged.
        """
        path = path / MODEL_FILE if path.is_dir() else path
        metadata, tensors = read_tensors(path, MODEL_KEY, ModelError, former=FORMER_MODEL_KEY)
        try:
            return cls._assembled(metadata, tensors)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: damaged ({error})") from error

    @classmethod
    def _assembled(cls, metadata: dict[str, str], tensors: dict[str, Tensor]) -> Model:
        """Make a model of a file's metadata and tensors. Raises ValueError if they disagree."""

        def below(prefix: str) -> dict[str, Any]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        architecture = Architecture.from_json(metadata["architecture"])
        if _digest(architecture, tensors).hex() != metadata["digest"]:
            raise ValueError("its weights are not those that were saved")
        with torch.device("meta"):
            codec = Codec(architecture).fold()
        codec.analysis.load_state_dict(below("analysis."), assign=True)
        codec.decoder.load_state_dict(below("decoder."), assign=True)
        scales = ScalePath(architecture, LEVELS).integer()
        scales.load_state_dict(below("scales."))
        # Files of earlier versions have no lambdas: all models had those of the search.
        low, high = json.loads(metadata.get("lambdas", f"[{LAMBDA_LOW}, {LAMBDA_HIGH}]"))
        tables, identity = Tables(**below("tables.")), bytes.fromhex(metadata["id"])
        return cls(codec, scales, tables, identity, (float(low), float(high)))

    def save(self, path: Path) -> None:
        """Write the model to a safetensors file, atomically.

        Raises NotFinite if a weight is NaN or infinite, and OSError if the file cannot be written.
        """
        tensors = self.tensors()
        metadata = {
            "id": self.id.hex(),
            "digest": _digest(self.architecture, tensors).hex(),
            "architecture": self.architecture.to_json(),
            "lambdas": json.dumps(self.lambdas),
        }
        write_tensors(path, MODEL_KEY, metadata, tensors)

    def to(self, *where: Any) -> Model:
        """Move or convert the model's networks, in place, as `torch.nn.Module.to` does."""
        self.encoder.to(*where)
        self.decoder.to(*where)
        return self

    def halved(self) -> Model:
        """A copy whose weights have half precision, with an id of its own. Its file is smaller."""
        model = copy.deepcopy(self).to(torch.float16)
        model.id = _digest(model.architecture, model.tensors())[:ID_BYTES]
        return model

    def tensors(self) -> dict[str, Tensor]:
        """All weights and tables of the model, by name."""
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
