"""A trained parent: one set of weights of which every architecture of a space inherits slices.

Once-for-all style (Cai et al., arXiv 1908.09791): narrower chains take the first channels, shorter
ones the first blocks, smaller expansions the first hidden channels. The skeleton orders channels by
what they are worth, so the first ones are the right ones before any training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from space.architecture import CHOICES, Architecture
from space.codec import ENTROPY, Codec, Coded, EntropyModel
from space.resampled_weights import MARGIN, STORED, layers, resampled
from space.scales import int8_step
from space.search_space import (
    PARAMETERS,
    SearchSpace,
    Value,
    to_architecture,
)
from space.skeleton import MAX_LATENT, Components, Skeleton, start_from, starting_log_steps
from space.tensor_file import read_tensors, write_tensors

KEY = "codec-search parent 2"
"""Kind and version of the file. Rises when slices would mean something else."""
VARIANTS = {"decoder.context.": "context", "scale_path.": "scale_path"}
"""Modules of which the parent has one for every value of a parameter, since none is a slice of
another. All others are shared: activations and widths have no weights of their own, scales that are
not learned are folded into the weights, and resampling layers share a kernel
(`space.resampled_weights`). Of the context by groups of channels, groups of narrow latents inherit
from those of wide ones, though not the same channels."""
SHARED = {"none": "grid"}
"""A codec without context predicts every symbol as the grid's first step does."""
STEPS = {"decoder.context.step.log_scale": 1, "scale_path.base.log_scale": -1}
"""Logarithms of a channel's quantisation step, and their sign."""
PARTS = ("weights", "int8_steps", "skeleton")
INT8 = (".branch.", "decoder.context.decoded.")
"""Where convolutions are that files keep in eight bits: most of a supernet, and what bears it."""
SKELETON_SHAPES = {
    "stride4.basis": (48, 48), "stride4.sigma": (48,),
    "stride8.basis": (192, 192), "stride8.sigma": (192,),
    "stride16.basis": (MAX_LATENT, 768), "stride16.sigma": (MAX_LATENT,),
}  # fmt: skip


class ParentError(ValueError):
    """A file that is no parent."""


class Parent:
    """Weights by name, and the skeleton that they were trained from."""

    def __init__(
        self,
        values: Mapping[str, tuple[Value, ...]],
        weights: dict[str, Tensor],
        skeleton: Skeleton,
        said: Mapping[str, int] | None = None,
    ) -> None:
        """Weights as `begin` names them, for the parameters' `values`."""
        self.values = values
        self.said = dict(said or {})
        """What was said of it when it was saved."""
        self.weights = weights
        self.skeleton = skeleton
        self._widest_steps = starting_log_steps(_widest(values), skeleton)

    @classmethod
    def begin(cls, space: SearchSpace, skeleton: Skeleton) -> Parent:
        """The untrained parent of a space: its children are what the skeleton alone gives."""
        weights: dict[str, Tensor] = {}
        for architecture in _variants(space.parameters):
            codec = start_from(Codec(architecture), skeleton)
            for name, value in _tensors(codec):
                weights.setdefault(_key(name, architecture), value.detach())
        margins = {name: torch.zeros(shape) for name, shape in _margins(space.parameters).items()}
        return cls(space.parameters, weights | margins, skeleton)

    def copy(self) -> Parent:
        """A parent with the same weights in memory of its own."""
        weights = {name: value.detach().clone() for name, value in self.weights.items()}
        return Parent(self.values, weights, self.skeleton, self.said)

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of values, weights and skeleton."""
        total = hashlib.sha256(repr(sorted(self.values.items())).encode())
        for name, value in sorted((self.weights | self._skeleton_tensors()).items()):
            total.update(f"{name} {tuple(value.shape)}".encode())
            total.update(value.detach().cpu().contiguous().numpy().data)
        return total.hexdigest()[:16]

    def settled(self, architecture: Architecture) -> bool:
        """Whether encoders and entropy models are trained already, so that they stay."""
        return self.said.get("steps", 0) > 0

    def covers(self, space: SearchSpace) -> bool:
        """Whether every architecture of `space` is a slice of sizes that were trained."""
        return all(
            self._has(name, values) if name in CHOICES else self._spans(name, values)
            for name, values in space.parameters.items()
        )

    def _spans(self, name: str, values: tuple[Value, ...]) -> bool:
        """Whether numbers lie between the smallest and the largest of a parameter."""
        asked, here = (sorted(map(int, of)) for of in (values, self.values[name]))
        return here[0] <= asked[0] and asked[-1] <= here[-1]

    def _has(self, name: str, values: tuple[Value, ...]) -> bool:
        """Whether there are weights for these values of a categorical parameter."""
        if name == "scales":
            return True
        if name == "resampling":
            return "conv" not in values or "conv" in self.values[name]
        asked, here = ({SHARED.get(str(v), v) for v in of} for of in (values, self.values[name]))
        return asked <= here

    def to(self, device: torch.device) -> Parent:
        """Move the weights, in place."""
        self.weights = {name: value.to(device) for name, value in self.weights.items()}
        return self

    def trainable(self) -> dict[str, Tensor]:
        """The weights that training may change: all but constants of resampling and rounding."""
        names: set[str] = set()
        for architecture in _variants(self.values):
            named = _blank(architecture).named_parameters()
            names |= {_key(name, architecture) for name, _ in named}
        names |= _margins(self.values).keys()
        return {name: self.weights[name] for name in self.weights if name in names}

    def slices(
        self, architecture: Architecture, prefixes: str | tuple[str, ...] = ""
    ) -> dict[str, Tensor]:
        """Tensors of a codec of `architecture` by name, differentiable by `weights`.

        Only those whose names begin with one of `prefixes`.
        """
        stored = replace(architecture, resampling=STORED)
        sliced = {
            name: _first(self.weights[_key(name, stored)], blank.shape, _groups(name, stored))
            for name, blank in _tensors(_blank(stored))
            if name.startswith(prefixes)
        }
        if architecture.resampling != STORED:
            self._resample(sliced, architecture)
        # Narrow chains cannot show all of a latent channel, which must then be paid for less.
        steps = starting_log_steps(architecture, self.skeleton)
        change = steps - self._widest_steps[:, : steps.shape[1]]
        for name in STEPS.keys() & sliced.keys():
            sliced[name] = sliced[name] + STEPS[name] * change.to(sliced[name])
        return sliced

    def _resample(self, sliced: dict[str, Tensor], architecture: Architecture) -> None:
        """Put the resampling of `architecture` in the place of the stored one."""
        shapes = {name: blank.shape for name, blank in _tensors(_blank(architecture))}
        for layer in layers(sliced):
            names = [name for name in sliced if name.startswith(f"{layer}.")]
            tensors = {name.removeprefix(f"{layer}."): sliced.pop(name) for name in names}
            margin = None
            if architecture.resampling == "conv":
                margin = self.weights[f"{layer}.{MARGIN}"]
                margin = _first(margin, shapes[f"{layer}.conv.weight"], (1, 1))
            changed = resampled(layer, tensors, architecture.resampling, margin)
            sliced |= {f"{layer}.{name}": tensor for name, tensor in changed.items()}

    def code(self, architecture: Architecture, image: Tensor, quality: Tensor) -> Coded:
        """What the child of `architecture` makes of images; see `Codec.forward` in training."""
        sliced = self.slices(architecture)
        coded: Coded = functional_call(_blank(architecture), sliced, (image, quality))
        return coded

    def code_latent(
        self, architecture: Architecture, latent: Tensor, levels: Tensor, given: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Bits and widths of latents; see `EntropyModel.forward`."""
        sliced = self.slices(architecture, ENTROPY)
        tensors = {f"codec.{name}": tensor for name, tensor in sliced.items()}
        model = EntropyModel(_blank(architecture))
        coded: tuple[Tensor, Tensor | None]
        coded = functional_call(model, tensors, (latent, levels, given))
        return coded

    @torch.no_grad()
    def start(self, architecture: Architecture) -> Codec:
        """A codec with weights of its own that starts where the parent's training ended."""
        codec = Codec(architecture)
        sliced = self.slices(architecture)
        if architecture.scales == "none":
            _fold_scales(sliced)
        tensors = dict(_tensors(codec))
        for name, value in sliced.items():
            tensors[name].copy_(value)
        return codec

    def save(self, path: Path, said: Mapping[str, int]) -> None:
        """Write safetensors, whole or not at all, with what is `said` of the parent.

        Trained weights are kept in half precision, the convolutions of `INT8` in eight bits with a
        step per output channel.
        """
        tensors = self._skeleton_tensors()
        trained = self.trainable()
        for name, value in self.weights.items():
            value = value.detach()
            if name in trained and value.dim() == 4 and any(part in name for part in INT8):
                step = int8_step(value)
                tensors[f"weights.{name}"] = (value / step).round().to(torch.int8)
                tensors[f"int8_steps.{name}"] = step
            else:
                tensors[f"weights.{name}"] = value.half() if name in trained else value
        about = {"values": {name: list(v) for name, v in self.values.items()}, "said": dict(said)}
        write_tensors(path, KEY, about, tensors)

    @classmethod
    def load(cls, path: Path) -> Parent:
        """Read what `save` wrote; nothing in the file is executed.

        Raises ParentError for a file that is missing, of another kind or version, or damaged.
        """
        about, tensors = read_tensors(path, KEY, ParentError)
        try:
            parent = cls._assembled(about, tensors)
            parent._check_shapes()
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise ParentError(f"{path}: damaged, or of other code ({error})") from error
        return parent

    @classmethod
    def _assembled(cls, about: dict[str, Any], tensors: dict[str, Tensor]) -> Parent:
        weights, steps, skeleton = (
            {n.removeprefix(f"{part}."): t for n, t in tensors.items() if n.startswith(f"{part}.")}
            for part in PARTS
        )
        weights = {name: tensor.float() for name, tensor in weights.items()}
        weights |= {name: weights[name] * step for name, step in steps.items()}
        components = (
            Components(skeleton[f"{stride}.basis"].numpy(), skeleton[f"{stride}.sigma"].numpy())
            for stride in ("stride4", "stride8", "stride16")
        )
        return cls(
            {name: tuple(about["values"][name]) for name in PARAMETERS},
            weights,
            Skeleton(*components),
            about["said"],
        )

    def _skeleton_tensors(self) -> dict[str, Tensor]:
        return {
            f"skeleton.{stride}.{field}": torch.from_numpy(array)
            for stride, components in asdict(self.skeleton).items()
            for field, array in components.items()
        }

    def _check_shapes(self) -> None:
        """Raise ValueError where weights are no numbers, or not those that `begin` would make."""
        expected: dict[str, torch.Size] = {}
        for architecture in _variants(self.values):
            named = _tensors(_blank(architecture))
            for name, tensor in named:
                expected.setdefault(_key(name, architecture), tensor.shape)
        expected |= _margins(self.values)
        for name in expected | self.weights:
            here = self.weights[name].shape if name in self.weights else None
            if here != expected.get(name):
                raise ValueError(f"{name} has shape {here}, expected {expected.get(name)}")
            if not self.weights[name].isfinite().all():
                raise ValueError(f"{name} is not finite")
        for name, tensor in self._skeleton_tensors().items():
            if tensor.shape != SKELETON_SHAPES[name.removeprefix("skeleton.")]:
                raise ValueError(f"{name} has shape {tensor.shape}")


@lru_cache(maxsize=8)
def _blank(architecture: Architecture) -> Codec:
    """A codec without weights, for shapes and to call with those of others."""
    with torch.device("meta"):
        return Codec(architecture)


def _tensors(codec: Codec) -> Iterator[tuple[str, Tensor]]:
    yield from codec.named_parameters()
    yield from codec.named_buffers()


def _variants(values: Mapping[str, tuple[Value, ...]]) -> Iterator[Architecture]:
    """Widest architectures that together have every module."""
    for name in sorted(set(VARIANTS.values())):
        # What others share comes last, so that it does not stand in for the whole.
        for value in sorted(values[name], key=lambda value: value in SHARED):
            yield _widest({**values, name: (value,)})


def _widest(values: Mapping[str, tuple[Value, ...]]) -> Architecture:
    """The largest value of every number and the first of every choice, with all that is learned."""
    widest: dict[str, Value] = {
        name: v[0] if name in CHOICES else max(map(int, v)) for name, v in values.items()
    }
    learned = {"scales": "learned", "quantisation": "learned", "resampling": STORED}
    return to_architecture(widest | learned)


def _margins(values: Mapping[str, tuple[Value, ...]]) -> dict[str, torch.Size]:
    """Shapes of the margins of overlapping convolutions, by name; none where there are none."""
    if "conv" not in values["resampling"]:
        return {}
    named = dict(_tensors(_blank(replace(_widest(values), resampling="conv"))))
    return {f"{layer}.{MARGIN}": named[f"{layer}.conv.weight"].shape for layer in layers(named)}


def _key(name: str, architecture: Architecture) -> str:
    """Name of a codec's tensor in the parent of which it is a slice."""
    for prefix, choice in VARIANTS.items():
        if name.startswith(prefix):
            value = getattr(architecture, choice)
            return f"{name}@{SHARED.get(value, value)}"
    return name


def codec_name(name: str) -> str:
    """Name in a codec of a weight of a parent."""
    return name.partition("@")[0]


def _first(tensor: Tensor, shape: torch.Size, groups: tuple[int, int]) -> Tensor:
    """The first entries of each dimension; of each group, in the first two dimensions."""
    for dim, size in enumerate(shape):
        if tensor.shape[dim] != size:
            per_group = groups[dim] if dim < len(groups) else 1
            grouped = tensor.unflatten(dim, (per_group, -1))
            tensor = grouped.narrow(dim + 1, 0, size // per_group).flatten(dim, dim + 1)
    return tensor


def _groups(name: str, architecture: Architecture) -> tuple[int, int]:
    """Equal parts of a weight's outputs and inputs that are sliced one by one."""
    if name.startswith("analysis.hyper.down."):
        return 1, 2  # values and magnitudes
    module, _, rest = name.removeprefix("decoder.context.").partition(".")
    phases = 2 if architecture.context == "checkerboard" else 1
    if module == "decoded":
        before = int(rest.split(".")[0]) + 1
        return phases, phases * before
    if module in ("mean", "log_width"):
        return phases, phases
    return 1, 1


def _fold_scales(tensors: dict[str, Tensor]) -> None:
    """Put the learned scales into the weights and biases, in place."""
    for name in [name for name in tensors if name.endswith(".scale_out")]:
        module = name.removesuffix(".scale_out")
        scale_in, scale_out = tensors[f"{module}.scale_in"], tensors[name]
        tensors[f"{module}.weight"] = tensors[f"{module}.weight"] * scale_in * scale_out
        if f"{module}.bias" in tensors:
            tensors[f"{module}.bias"] = tensors[f"{module}.bias"] * scale_out.flatten()
        tensors[f"{module}.scale_in"] = torch.ones_like(scale_in)
        tensors[name] = torch.ones_like(scale_out)
