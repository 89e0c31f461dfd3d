"""The codecs of a search space as programs that the latency predictor can measure.

`latency_predictor.measure.programs` imports this module by its name.
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import nn

from latency_predictor.measure.programs import ProgramSource, Shapes
from latency_predictor.ops import OpTable
from space.architecture import HYPER_STRIDE, LATENT_STRIDE, LEVELS, Architecture
from space.bitstream.tiling import TILE
from space.codec.codec import Codec, EncoderNetwork
from space.lowering.networks import DECODER, ENCODER, lower_segments
from space.search_space import SearchSpace, SpaceError

_SPACES = files("configs") / "space"
_SMALL = 0.02
"""Standard deviation of biases and of the logarithms of scales."""
SEGMENTS = {"encoder": ENCODER, "decoder": DECODER}
"""Segments of each network, from which `lower_segments` makes its op list."""
OUTPUTS = {"encoder": ("symbols", "z"), "decoder": ("image",)}
"""Names of the outputs of each network, in order."""


class CodecPrograms:
    """Programs of a space: each architecture's encoder and decoder networks on one tile.

    The argument `program` of the methods is `encoder` or `decoder`.
    """

    programs = tuple(SEGMENTS)

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self.name = space.name
        self.size = space.size

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of `n` architectures, drawn with replacement."""
        return self._space.sample(n, rng)

    def lower(self, numbers: NDArray[np.int64], program: str) -> OpTable:
        """Op lists of the network `program` of each architecture in `numbers` [n]."""
        return lower_segments(SEGMENTS[program], self._space.columns(numbers))

    def build(self, number: int, program: str) -> nn.Module:
        """The folded network of architecture `number`, with random parameters.

        `number` is also the random seed. Parameters of an untrained codec would not do, because
        many of them are zero and a device may skip zeros.
        """
        codec = Codec(self._space.architecture(number)).fold().eval()
        network = EncoderNetwork(codec) if program == "encoder" else codec.decoder
        randomise(network, seed=number)
        return network

    def inputs(self, number: int, program: str) -> Shapes:
        """Shapes of the network's inputs by name, in the order of its arguments."""
        return inputs(self._space.architecture(number), program)

    def describe(self, number: int) -> dict[str, Any]:
        """The architecture with this number as a JSON object."""
        described: dict[str, Any] = json.loads(self._space.architecture(number).to_json())
        return described

    def identify(self, number: int) -> str:
        """The id of the architecture with this number."""
        return self._space.architecture(number).id


def inputs(architecture: Architecture, program: str) -> Shapes:
    """Shapes of a network's inputs for one tile, by name and in the order of its arguments.

    The network is the one that `program` names, `encoder` or `decoder`.
    """
    if program == "encoder":
        return {"image": (1, 3, TILE, TILE), "levels": (1, LEVELS)}
    latent, hyper = TILE // LATENT_STRIDE, TILE // HYPER_STRIDE
    return {
        "symbols": (1, architecture.latent_channels, latent, latent),
        "z": (1, architecture.hyper_channels, hyper, hyper),
        "levels": (1, LEVELS),
    }


def names() -> list[str]:
    """Names of the spaces that are shipped in `configs/space`."""
    return sorted(
        file.name.removesuffix(".yaml") for file in _SPACES.iterdir() if file.name.endswith(".yaml")
    )


def find(name: str) -> ProgramSource:
    """The codecs of a shipped space, or of a YAML space file whose path is `name`.

    Raises SpaceError if `name` is neither of these, or if the file does not describe a space.
    Raises OSError if the file cannot be read.
    """
    if name in names():
        return _read((_SPACES / f"{name}.yaml").read_text())
    if name.endswith((".yaml", ".yml")):
        try:
            return _read(Path(name).read_text())
        except ValueError as error:
            raise SpaceError(f"space {name!r}: {error}") from error
    near = get_close_matches(name, names(), n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise SpaceError(
        f"no space {name!r}; expected one of {', '.join(names())}, or a YAML file{hint}"
    )


def _read(text: str) -> CodecPrograms:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpaceError(f"not YAML: {error}") from error
    if not isinstance(config, dict):
        raise SpaceError("not a space: expected a mapping of parameters to lists of values")
    return CodecPrograms(SearchSpace.from_config(config))


def randomise(network: nn.Module, seed: int) -> None:
    """Draw all parameters of a network at random, in place.

    The weights of convolutions have a size that neither amplifies nor damps signals. All other
    parameters are small. No parameter is zero and no two parameters are equal, because a converter
    would optimise zeros and duplicates away.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, _SMALL, generator=generator)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                taps = module.kernel_size[0] * module.kernel_size[1]
                if isinstance(module, nn.ConvTranspose2d):
                    taps //= module.stride[0] * module.stride[1]
                module.weight.mul_((taps * module.in_channels) ** -0.5 / _SMALL)
