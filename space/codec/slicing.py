"""Places of a codec's tensors in a supernet: the tensor, and which of its entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from space.architecture import CHOICES, Architecture
from space.codec.codec import Codec
from space.codec.resampled_weights import KERNEL_MARGIN, STORED, layers
from space.search_space import Value, to_architecture

VARIANTS = {"decoder.context.": "context", "scale_path.": "scale_path"}
"""Modules of which the supernet holds one copy for every value of a categorical parameter.

This maps the prefix of a module's tensor names to the parameter. The copies are not slices of one
another. All other modules are the same for every value of every categorical parameter: activations
and the quantisation `level` have no weights of their own, scales that are not learned are folded
into the weights, and resampling layers share a kernel (`space.codec.resampled_weights`). In the
context pattern `channels`, a group of a narrow latent inherits the weights of the same group of a
wide latent, although the two groups hold different channels.
"""
SHARED = {"none": "grid"}
"""Maps a context pattern without weights of its own to the pattern whose weights it uses.

A codec without context (`none`) predicts every symbol as the first step of `grid` does.
"""


@lru_cache(maxsize=8)
def blank_codec(architecture: Architecture) -> Codec:
    """A codec on the meta device. It gives the shapes, and is called with other tensors."""
    with torch.device("meta"):
        return Codec(architecture)


def tensors_of(codec: Codec) -> Iterator[tuple[str, Tensor]]:
    """All parameters and buffers of a codec, with their names."""
    yield from codec.named_parameters()
    yield from codec.named_buffers()


def widest_variants(values: Mapping[str, tuple[Value, ...]]) -> Iterator[Architecture]:
    """The widest architectures that together have every module of the supernet."""
    for name in sorted(set(VARIANTS.values())):
        # Patterns that share weights come last: they have only part of the shared module.
        for value in sorted(values[name], key=lambda value: value in SHARED):
            yield widest_architecture({**values, name: (value,)})


def widest_architecture(values: Mapping[str, tuple[Value, ...]]) -> Architecture:
    """The architecture with the largest numbers, in which scales and widths are learned."""
    largest: dict[str, Value] = {
        name: v[0] if name in CHOICES else max(map(int, v)) for name, v in values.items()
    }
    learned = {"scales": "learned", "quantisation": "learned", "resampling": STORED}
    return to_architecture(largest | learned)


def margin_shapes(values: Mapping[str, tuple[Value, ...]]) -> dict[str, torch.Size]:
    """Shapes by name of the margins of overlapping convolutions, if the space has any."""
    if "conv" not in values["resampling"]:
        return {}
    named = dict(tensors_of(blank_codec(replace(widest_architecture(values), resampling="conv"))))
    return {
        f"{layer}.{KERNEL_MARGIN}": named[f"{layer}.conv.weight"].shape for layer in layers(named)
    }


def supernet_name(name: str, architecture: Architecture) -> str:
    """Convert the name of a codec's tensor to the name of the tensor that it is a slice of."""
    for prefix, choice in VARIANTS.items():
        if name.startswith(prefix):
            value = getattr(architecture, choice)
            return f"{name}@{SHARED.get(value, value)}"
    return name


def codec_name(name: str) -> str:
    """Convert the name of a weight in the supernet to the weight's name in a codec."""
    return name.partition("@")[0]


def first_entries(tensor: Tensor, shape: torch.Size, groups: tuple[int, int]) -> Tensor:
    """The first entries of each dimension. The first two dimensions are sliced within `groups`."""
    for dim, size in enumerate(shape):
        if tensor.shape[dim] != size:
            per_group = groups[dim] if dim < len(groups) else 1
            grouped = tensor.unflatten(dim, (per_group, -1))
            tensor = grouped.narrow(dim + 1, 0, size // per_group).flatten(dim, dim + 1)
    return tensor


def groups_of(name: str, architecture: Architecture) -> tuple[int, int]:
    """Numbers of equal groups of a weight's outputs and inputs that are sliced separately."""
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


def fold_scales(tensors: dict[str, Tensor]) -> None:
    """Fold the learned scales into the weights and biases, in place."""
    for name in [name for name in tensors if name.endswith(".scale_out")]:
        module = name.removesuffix(".scale_out")
        scale_in, scale_out = tensors[f"{module}.scale_in"], tensors[name]
        tensors[f"{module}.weight"] = tensors[f"{module}.weight"] * scale_in * scale_out
        if f"{module}.bias" in tensors:
            tensors[f"{module}.bias"] = tensors[f"{module}.bias"] * scale_out.flatten()
        tensors[f"{module}.scale_in"] = torch.ones_like(scale_in)
        tensors[name] = torch.ones_like(scale_out)
