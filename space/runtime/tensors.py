"""The tensors that a model file must have, given its architecture.

The torch modules of `space.codec` have the same tensors; the tests compare both for every choice of
an architecture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space.architecture import HYPER_DEPTH, LEVELS, Architecture, Chain
from space.arithmetic import DECODING_STEPS, GROUP_QUARTERS
from space.bitstream.stored_model import STEPS
from space.entropy_coding.payload import TABLE_COUNT

ANY = -1
"""In place of a dimension that the architecture does not determine."""
Shape = tuple[int, ...]
Named = Iterator[tuple[str, Shape]]


def check_tensors(architecture: Architecture, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError if names, shapes or types are not those of a model with `architecture`.

    Weights of networks have any float type, or int8 and a step per output channel. The scale path
    and the tables are integers.
    """
    known = set()
    # A forged architecture may have more tensors than memory holds: the first one missing ends it.
    for name, shape in tensor_shapes(architecture):
        known.add(name)
        _check_shape(name, shape, tensors)
        dtype, step, expected = tensors[name].dtype, f"{STEPS}{name}", _type_of(name)
        if step in tensors and expected == "float" and len(shape) == 4:
            known.add(step)
            _check_shape(step, (shape[0], *[1] * (len(shape) - 1)), tensors)
            _check_type(step, tensors[step].dtype, "float")
            _check_type(name, dtype, "int8")
        else:
            _check_type(name, dtype, expected)
    if unknown := sorted(tensors.keys() - known):
        raise ValueError(f"{unknown[0]} is no tensor of its architecture")


def tensor_shapes(architecture: Architecture) -> Named:
    """Names and shapes of a model's tensors, without the steps of weights of int8."""
    a = architecture
    yield from _analysis(a)
    yield from _context(a, "decoder.context")
    yield from _synthesis(a, "decoder.synthesis")
    yield from _scales(a.latent_channels, a.hyper_channels, a.scale_path == "linear")
    yield "tables.cdfs", (TABLE_COUNT, ANY)
    yield "tables.lengths", (TABLE_COUNT,)
    yield "tables.offsets", (TABLE_COUNT,)


def _analysis(a: Architecture) -> Named:
    latent, hyper = a.latent_channels, a.hyper_channels
    channels = 3
    for i, (chain, stride) in enumerate(zip(a.encoder, (4, 2, 2), strict=True)):
        yield from _conv(f"analysis.downs.{i}", channels, chain.C, _kernel(a, stride))
        channels = chain.C
    yield from _chains("analysis", a.encoder)
    yield from _conv("analysis.head", channels, latent)
    yield from _conv("analysis.hyper.down", 2 * latent, hyper, 2)
    yield from _conv("analysis.hyper.hidden", hyper, 2 * hyper, 2)
    yield from _conv("analysis.hyper.out", 2 * hyper, hyper)


def _context(a: Architecture, name: str) -> Named:
    latent, hyper, steps = a.latent_channels, a.hyper_channels, DECODING_STEPS[a.context]
    group = latent * GROUP_QUARTERS[a.context] // 4
    yield from _conv(f"{name}.hidden", hyper, 2 * hyper, 3)
    yield from _deconv(f"{name}.up", 2 * hyper, latent, 2**HYPER_DEPTH)
    yield f"{name}.step.log_scale", (LEVELS, latent)
    for i in range(1, steps):
        yield from _conv(f"{name}.decoded.{i - 1}", group * i, group, 3)
    for i in range(steps):
        yield from _conv(f"{name}.mean.{i}", group, group)
        if a.quantisation == "learned":
            yield from _conv(f"{name}.log_width.{i}", group, group)


def _synthesis(a: Architecture, name: str) -> Named:
    widths = [chain.C for chain in a.decoder]
    yield from _conv(f"{name}.head", a.latent_channels, widths[0])
    yield from _chains(name, a.decoder)
    for i, (stride, width) in enumerate(zip((2, 2, 4), (*widths[1:], 3), strict=True)):
        yield from _deconv(f"{name}.ups.{i}", widths[i], width, _kernel(a, stride))


def _scales(latent: int, hyper: int, linear: bool) -> Named:
    upsampled = latent * 4**HYPER_DEPTH
    layers = (
        [(hyper, upsampled, 1)] if linear else [(hyper, 2 * hyper, 3), (2 * hyper, upsampled, 1)]
    )
    for i, (channels, out, kernel) in enumerate(layers):
        yield from _conv(f"scales.layers.{i}", channels, out, kernel)
        yield f"scales.layers.{i}.factor", (out,)
    yield "scales.base", (LEVELS, latent)
    yield "scales.meta", (LEVELS, hyper)


def _chains(name: str, chains: Iterable[Chain]) -> Named:
    for i, chain in enumerate(chains):
        for block in range(chain.R):
            branch, wide = f"{name}.chains.{i}.blocks.{block}.branch", chain.C * chain.E
            yield from _conv(f"{branch}.0", chain.C, wide, 3)
            yield from _conv(f"{branch}.2", wide, chain.C * chain.F)
            yield from _conv(f"{branch}.4", chain.C * chain.F, chain.C)
        yield f"{name}.chains.{i}.scale.log_scale", (LEVELS, chain.C)


def _kernel(a: Architecture, stride: int) -> int:
    """Side of the kernel of a layer between resolutions: overlapping ones have twice the stride."""
    return 2 * stride if a.resampling == "conv" else stride


def _conv(name: str, channels: int, out: int, kernel: int = 1) -> Named:
    yield f"{name}.weight", (out, channels, kernel, kernel)
    yield f"{name}.bias", (out,)


def _deconv(name: str, channels: int, out: int, kernel: int) -> Named:
    yield f"{name}.weight", (channels, out, kernel, kernel)
    yield f"{name}.bias", (out,)


def _type_of(name: str) -> str:
    if name.startswith("tables."):
        return "int32"
    if name.startswith("scales."):
        return "int8" if name.endswith(".weight") else "int64"
    return "float"


def _check_shape(name: str, shape: Shape, tensors: Mapping[str, NDArray[Any]]) -> None:
    if name not in tensors:
        raise ValueError(f"{name} is missing")
    found = tensors[name].shape
    fits = len(found) == len(shape) and all(
        expected in (size, ANY) for size, expected in zip(found, shape, strict=True)
    )
    if not fits:
        expected = [size if size != ANY else "any" for size in shape]
        raise ValueError(f"the shape of {name} is {list(found)}, expected {expected}")


def _check_type(name: str, dtype: np.dtype[Any], expected: str) -> None:
    fits = dtype.kind == "f" if expected == "float" else dtype == np.dtype(expected)
    if not fits:
        raise ValueError(f"the type of {name} is {dtype}, expected {expected}")
