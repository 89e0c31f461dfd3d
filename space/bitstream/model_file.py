"""A trained codec in one file: folded networks, integer scale path and entropy-coding tables."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from space.architecture import LEVELS
from space.bitstream.stored_model import (
    EARLIER_MODEL_KEYS,
    FORMER_MODEL_KEY,
    ID_BYTES,
    MODEL_FILE,
    MODEL_KEY,
    STEPS,
    Description,
    ModelError,
    Part,
    described,
    digest_of,
    file_of,
)
from space.codec.codec import LAMBDA_HIGH, LAMBDA_LOW, Codec, EncoderNetwork
from space.codec.int8 import COMPACT, int8_step, is_kernel_of, to_int8
from space.codec.scales import IntegerScales, ScalePath
from space.entropy_coding.tables import Tables
from space.tensor_file import read_tensors, write_tensors

__all__ = ["FORMER_MODEL_KEY", "MODEL_FILE", "MODEL_KEY", "Model", "ModelError"]


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
        self.steps: dict[str, Tensor] = {}
        """Steps of the weights that are stored as int8, by name; empty unless compact."""

    @classmethod
    def of(cls, codec: Codec, lambdas: tuple[float, float] = (LAMBDA_LOW, LAMBDA_HIGH)) -> Model:
        """Make a model from a trained codec. The codec itself is not changed."""
        folded = copy.deepcopy(codec).cpu().fold()
        model = cls(folded, codec.scale_path.integer(), Tables.gaussian(), b"", lambdas)
        model.id = model._digest()[:ID_BYTES]
        return model

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read a model file that `save` wrote. If `path` is a folder, read MODEL_FILE in it.

        Nothing in the file is executed. Raises ModelError if the file is missing, of another kind
        or version, or damaged.
        """
        path = file_of(path)
        metadata, tensors = read_tensors(
            path, MODEL_KEY, ModelError, former=FORMER_MODEL_KEY, earlier=EARLIER_MODEL_KEYS
        )
        try:
            return cls._assembled(described(metadata, parts_of(tensors)), tensors)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: damaged ({error})") from error

    @classmethod
    def _assembled(cls, description: Description, tensors: dict[str, Tensor]) -> Model:
        """Make a model of a file's content. Raises ValueError if it contradicts itself."""
        steps = {k.removeprefix(STEPS): v for k, v in tensors.items() if k.startswith(STEPS)}
        tensors = _restored(tensors, steps)

        def below(prefix: str) -> dict[str, Any]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        with torch.device("meta"):
            codec = Codec(description.architecture).fold()
        codec.analysis.load_state_dict(below("analysis."), assign=True)
        codec.decoder.load_state_dict(below("decoder."), assign=True)
        scales = ScalePath(description.architecture, LEVELS).integer()
        scales.load_state_dict(below("scales."))
        tables = Tables(**below("tables."))
        model = cls(codec, scales, tables, description.id, description.lambdas)
        model.steps = steps
        return model

    def save(self, path: Path) -> None:
        """Write the model to a safetensors file, atomically.

        Raises NotFinite if a weight is NaN or infinite, and OSError if the file cannot be written.
        """
        description = Description(self.architecture, self.id, self.lambdas)
        write_tensors(path, MODEL_KEY, description.metadata(self._digest()), self.tensors())

    def to(self, *where: Any) -> Model:
        """Move or convert the model's networks, in place, as `torch.nn.Module.to` does."""
        self.encoder.to(*where)
        self.decoder.to(*where)
        return self

    def compact(self) -> Model:
        """A copy whose file is about a third as large, with an id of its own.

        Residual branches and the context model have weights of 8 bits, and everything else has half
        precision. The copy computes with the values that its file stores.
        """
        model = copy.deepcopy(self)
        if not self.steps:
            model.to("cpu", torch.float32)
            model.steps = {
                name: int8_step(value)
                for name, value in model.tensors().items()
                if is_kernel_of(COMPACT, name, value)
            }
            model.id = model._digest()[:ID_BYTES]
            stored = _restored(model.tensors(), model.steps)
            for part, module in model._modules().items():
                below = {name: stored[f"{part}.{name}"] for name in module.state_dict()}
                module.load_state_dict(below)
        return model

    def tensors(self) -> dict[str, Tensor]:
        """All weights and tables of the model by name, as its file stores them."""
        named = {
            f"{part}.{name}": value.contiguous()
            for part, module in self._modules().items()
            for name, value in module.state_dict().items()
        }
        if self.steps:
            named = {name: self._stored(name, value) for name, value in named.items()}
        steps = {f"{STEPS}{name}": step for name, step in self.steps.items()}
        tables = {f"tables.{name}": value for name, value in asdict(self.tables).items()}
        return named | steps | tables

    def _modules(self) -> dict[str, torch.nn.Module]:
        """Modules whose tensors are stored, by the first part of the tensors' names."""
        return {"analysis": self.encoder.analysis, "decoder": self.decoder, "scales": self.scales}

    def _stored(self, name: str, value: Tensor) -> Tensor:
        """A tensor in the form of a compact file."""
        if name in self.steps:
            return to_int8(value.cpu().float(), self.steps[name])
        return value.half() if value.is_floating_point() else value

    def _digest(self) -> bytes:
        return digest_of(self.architecture, parts_of(self.tensors()))


def _restored(tensors: Mapping[str, Tensor], steps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a file as a model computes with them: in single precision if it is compact."""
    restored = {
        name: value.float() if steps and value.is_floating_point() else value
        for name, value in tensors.items()
        if not name.startswith(STEPS)
    }
    return restored | {name: tensors[name].float() * step for name, step in steps.items()}


def parts_of(tensors: Mapping[str, Tensor]) -> Iterator[Part]:
    """Tensors in the form that `digest_of` takes."""
    for name, value in tensors.items():
        data = value.cpu().contiguous().flatten().view(torch.uint8).numpy().data
        yield name, str(value.dtype), tuple(value.shape), data
