"""The supernet: one set of weights of which every architecture of a space is a slice.

Slices are those of once-for-all (Cai et al., arXiv 1908.09791): narrower chains take the first
channels, shorter chains the first blocks, smaller expansions the first hidden channels. The PCA
initialisation orders channels by falling variance, so the first ones matter most even before
training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from latency_predictor.errors import UserError
from space.architecture import CHOICES, Architecture
from space.codec.codec import ENTROPY, Codec, Coded, EntropyModel
from space.codec.initialisation import (
    Components,
    Initialisation,
    start_from,
    starting_log_steps,
)
from space.codec.int8 import WIDE, int8_step, is_kernel_of, to_int8
from space.codec.resampled_weights import KERNEL_MARGIN, STORED, layers, resampled
from space.codec.slicing import (
    SHARED,
    blank_codec,
    first_entries,
    fold_scales,
    groups_of,
    margin_shapes,
    supernet_name,
    tensors_of,
    widest_architecture,
    widest_variants,
)
from space.search_space import PARAMETERS, SearchSpace, Value
from space.tensor_file import read_tensors, write_tensors

SUPERNET_KEY, FORMER_SUPERNET_KEY = "codec-search parent 3", "codec-search parent 2"
"""Kind and version of a supernet file, and those of earlier versions, which have no checksum.

The version rises when the meaning of slices changes, and then has no former one.
"""
LOG_STEP_SIGNS = {"decoder.context.step.log_scale": 1, "scale_path.base.log_scale": -1}
"""Names of the tensors that hold the log of each channel's quantisation step, and their signs.

The sign is -1 if the tensor holds the negative of the log.
"""
FILE_PARTS = ("weights", "int8_steps", "skeleton")
"""Prefixes of tensor names in a supernet file: weights, steps of 8-bit weights, initialisation."""
INITIALISATION_SHAPES = {
    "stride4.basis": (48, 48), "stride4.sigma": (48,),
    "stride8.basis": (192, 192), "stride8.sigma": (192,),
    "stride16.basis": (None, 768), "stride16.sigma": (None,),
}  # fmt: skip
"""Shapes of an initialisation's tensors. None is the number of components kept at stride 16."""


class SupernetError(UserError):
    """A supernet file that cannot be read."""


class Supernet:
    """The weights that all architectures of a space share, by name.

    The supernet also holds the initialisation from which the training of the weights started.
    """

    def __init__(
        self,
        values: Mapping[str, tuple[Value, ...]],
        weights: dict[str, Tensor],
        initialisation: Initialisation,
        metadata: Mapping[str, int] | None = None,
    ) -> None:
        """`values` are the value sets of all parameters. `weights` are named as in `begin`."""
        self.values = values
        self.metadata = dict(metadata or {})
        """Metadata saved with the supernet, such as its number of training steps."""
        self.weights = weights
        self.initialisation = initialisation
        self._widest_steps = starting_log_steps(widest_architecture(values), initialisation)

    @classmethod
    def begin(cls, space: SearchSpace, initialisation: Initialisation) -> Supernet:
        """Make the untrained supernet of a space. Its slices start from `initialisation`."""
        weights: dict[str, Tensor] = {}
        for architecture in widest_variants(space.parameters):
            codec = start_from(Codec(architecture), initialisation)
            for name, value in tensors_of(codec):
                weights.setdefault(supernet_name(name, architecture), value.detach())
        margins = {
            name: torch.zeros(shape) for name, shape in margin_shapes(space.parameters).items()
        }
        return cls(space.parameters, weights | margins, initialisation)

    def copy(self) -> Supernet:
        """An equal supernet with its own copy of the weights."""
        weights = {name: value.detach().clone() for name, value in self.weights.items()}
        return Supernet(self.values, weights, self.initialisation, self.metadata)

    @property
    def digest(self) -> str:
        """First 16 hex digits of a SHA-256 of the value sets, weights and initialisation."""
        total = hashlib.sha256(repr(sorted(self.values.items())).encode())
        for name, value in sorted((self.weights | self._initialisation_tensors()).items()):
            total.update(f"{name} {tuple(value.shape)}".encode())
            total.update(value.detach().cpu().contiguous().numpy().data)
        return total.hexdigest()[:16]

    def synthesis_only(self, architecture: Architecture) -> bool:
        """Whether only the synthesis transform of a slice needs further training.

        This is true once the supernet has been trained, for every architecture.
        """
        return self.metadata.get("steps", 0) > 0

    def covers(self, space: SearchSpace) -> bool:
        """Whether every architecture of `space` is a slice of this supernet.

        Each numerical value must lie between the smallest and the largest trained value of its
        parameter. The supernet must have weights for each categorical value.
        """
        return all(
            self._has(name, values) if name in CHOICES else self._spans(name, values)
            for name, values in space.parameters.items()
        )

    def _spans(self, name: str, values: tuple[Value, ...]) -> bool:
        """Whether `values` lie between the smallest and the largest trained value."""
        wanted, trained = (sorted(map(int, side)) for side in (values, self.values[name]))
        return trained[0] <= wanted[0] and wanted[-1] <= trained[-1]

    def _has(self, name: str, values: tuple[Value, ...]) -> bool:
        """Whether the supernet has weights for these values of a categorical parameter."""
        if name == "scales":
            return True
        if name == "resampling":
            return "conv" not in values or "conv" in self.values[name]
        wanted, trained = (
            {SHARED.get(str(value), value) for value in side}
            for side in (values, self.values[name])
        )
        return wanted <= trained

    def to(self, device: torch.device) -> Supernet:
        """Move the weights to `device`, in place."""
        self.weights = {name: value.to(device) for name, value in self.weights.items()}
        return self

    def trainable(self) -> dict[str, Tensor]:
        """The weights that training may change, by name.

        The other tensors are constants, such as the bases of the resampling layers.
        """
        names: set[str] = set()
        for architecture in widest_variants(self.values):
            named = blank_codec(architecture).named_parameters()
            names |= {supernet_name(name, architecture) for name, _ in named}
        names |= margin_shapes(self.values).keys()
        return {name: self.weights[name] for name in self.weights if name in names}

    def slices(
        self, architecture: Architecture, prefixes: str | tuple[str, ...] = ""
    ) -> dict[str, Tensor]:
        """The tensors of a codec of `architecture`, sliced from the supernet, by their names.

        The tensors are differentiable with respect to `weights`. Only tensors whose names begin
        with one of `prefixes` are included.
        """
        stored = replace(architecture, resampling=STORED)
        sliced = {
            name: first_entries(
                self.weights[supernet_name(name, stored)], blank.shape, groups_of(name, stored)
            )
            for name, blank in tensors_of(blank_codec(stored))
            if name.startswith(prefixes)
        }
        if architecture.resampling != STORED:
            self._resample(sliced, architecture)
        # Narrow chains decode only part of a latent channel, so it gets a wider step.
        steps = starting_log_steps(architecture, self.initialisation)
        change = steps - self._widest_steps[:, : steps.shape[1]]
        for name in LOG_STEP_SIGNS.keys() & sliced.keys():
            sliced[name] = sliced[name] + LOG_STEP_SIGNS[name] * change.to(sliced[name])
        return sliced

    def _resample(self, sliced: dict[str, Tensor], architecture: Architecture) -> None:
        """Replace the tensors of the stored resampling, in place, by those of `architecture`."""
        shapes = {name: blank.shape for name, blank in tensors_of(blank_codec(architecture))}
        for layer in layers(sliced):
            names = [name for name in sliced if name.startswith(f"{layer}.")]
            tensors = {name.removeprefix(f"{layer}."): sliced.pop(name) for name in names}
            margin = None
            if architecture.resampling == "conv":
                margin = self.weights[f"{layer}.{KERNEL_MARGIN}"]
                margin = first_entries(margin, shapes[f"{layer}.conv.weight"], (1, 1))
            changed = resampled(layer, tensors, architecture.resampling, margin)
            sliced |= {f"{layer}.{name}": tensor for name, tensor in changed.items()}

    def code(self, architecture: Architecture, image: Tensor, quality: Tensor) -> Coded:
        """Code images with the slice of `architecture`, as `Codec.forward` does in training."""
        sliced = self.slices(architecture)
        coded: Coded = functional_call(blank_codec(architecture), sliced, (image, quality))
        return coded

    def code_latent(
        self,
        architecture: Architecture,
        latent: Tensor,
        levels: Tensor,
        fixed_width: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Bits and quantisation widths of latents under the slice of `architecture`.

        `EntropyModel.forward` explains the arguments and the result.
        """
        sliced = self.slices(architecture, ENTROPY)
        tensors = {f"codec.{name}": tensor for name, tensor in sliced.items()}
        model = EntropyModel(blank_codec(architecture))
        coded: tuple[Tensor, Tensor | None]
        coded = functional_call(model, tensors, (latent, levels, fixed_width))
        return coded

    @torch.no_grad()
    def start(self, architecture: Architecture) -> Codec:
        """A new codec of `architecture`; its weights are copies of its slice of the supernet."""
        codec = Codec(architecture)
        sliced = self.slices(architecture)
        if architecture.scales == "none":
            fold_scales(sliced)
        tensors = dict(tensors_of(codec))
        for name, value in sliced.items():
            tensors[name].copy_(value)
        return codec

    def save(self, path: Path, metadata: Mapping[str, int]) -> None:
        """Write the supernet and the given metadata to a safetensors file, atomically.

        Wide convolutions (`int8.WIDE`) are stored in 8 bits, with a step per output channel. All
        other trainable weights are stored in half precision. Raises NotFinite if a weight is NaN,
        infinite or too large for that, and OSError if the file cannot be written.
        """
        tensors = self._initialisation_tensors()
        trained = self.trainable()
        for name, value in self.weights.items():
            value = value.detach()
            if name in trained and is_kernel_of(WIDE, name, value):
                step = int8_step(value)
                tensors[f"weights.{name}"] = to_int8(value, step)
                tensors[f"int8_steps.{name}"] = step
            else:
                tensors[f"weights.{name}"] = value.half() if name in trained else value
        values = {name: list(v) for name, v in self.values.items()}
        write_tensors(path, SUPERNET_KEY, {"values": values, "said": dict(metadata)}, tensors)

    @classmethod
    def load(cls, path: Path) -> Supernet:
        """Read a supernet that `save` wrote. Nothing in the file is executed.

        Raises SupernetError if the file is missing, of another kind or version, or damaged.
        """
        header, tensors = read_tensors(
            path, SUPERNET_KEY, SupernetError, kind="supernet", former=FORMER_SUPERNET_KEY
        )
        try:
            supernet = cls._assembled(header, tensors)
            supernet._check_shapes()
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise SupernetError(
                f"{path}: damaged, or written by another version of the code ({error})"
            ) from error
        return supernet

    @classmethod
    def _assembled(cls, header: dict[str, Any], tensors: dict[str, Tensor]) -> Supernet:
        weights, steps, initialisation = (
            {n.removeprefix(f"{part}."): t for n, t in tensors.items() if n.startswith(f"{part}.")}
            for part in FILE_PARTS
        )
        weights = {name: tensor.float() for name, tensor in weights.items()}
        weights |= {name: weights[name] * step for name, step in steps.items()}
        components = (
            Components(
                initialisation[f"{stride}.basis"].numpy(), initialisation[f"{stride}.sigma"].numpy()
            )
            for stride in ("stride4", "stride8", "stride16")
        )
        return cls(
            {name: tuple(header["values"][name]) for name in PARAMETERS},
            weights,
            Initialisation(*components),
            header["said"],
        )

    def _initialisation_tensors(self) -> dict[str, Tensor]:
        return {
            f"skeleton.{stride}.{field}": torch.from_numpy(array)
            for stride, components in asdict(self.initialisation).items()
            for field, array in components.items()
        }

    def _check_shapes(self) -> None:
        """Raise ValueError if weights are not finite, or differ in shape from those of `begin`."""
        expected: dict[str, torch.Size] = {}
        for architecture in widest_variants(self.values):
            named = tensors_of(blank_codec(architecture))
            for name, tensor in named:
                expected.setdefault(supernet_name(name, architecture), tensor.shape)
        expected |= margin_shapes(self.values)
        for name in expected | self.weights:
            found = self.weights[name].shape if name in self.weights else None
            if found != expected.get(name):
                raise ValueError(f"{name} has shape {found}, expected {expected.get(name)}")
            if not self.weights[name].isfinite().all():
                raise ValueError(f"{name} contains NaN or infinite values")
        kept = len(self.initialisation.stride16.sigma)
        for name, tensor in self._initialisation_tensors().items():
            sizes = INITIALISATION_SHAPES[name.removeprefix("skeleton.")]
            shape = tuple(size or kept for size in sizes)
            if tensor.shape != shape:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
