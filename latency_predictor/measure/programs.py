"""Programs to measure: what the predictor needs to know of them, and where they come from.

The predictor knows op lists, but not the architectures that are lowered to op lists. Package
`space` defines architectures and imports the predictor, so the predictor must not import `space`.
Instead it names a module of `space` (`CODECS`) and loads the module when a command needs it.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from latency_predictor.ops import OpTable

if TYPE_CHECKING:
    from torch import nn

CODECS = "space.lowering.programs"
"""Module whose `find` returns the codecs of a search space as a `ProgramSource`."""

Shapes = dict[str, tuple[int, ...]]
"""Shape of each input by name, in the order of the arguments of `forward`."""


class ProgramSource(Protocol):
    """A numbered set of architectures, each with one or more programs."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int:
        """Number of architectures, which are numbered from 0."""
        ...

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of the programs of an architecture, for example `encoder` and `decoder`."""
        ...

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of `n` architectures, drawn with replacement."""
        ...

    def lower(self, numbers: NDArray[np.int64], program: str) -> OpTable:
        """Op lists of one program of each of the architectures `numbers`, in their order."""
        ...

    def build(self, number: int, program: str) -> nn.Module:
        """Build a program of an architecture as a module in inference form.

        The module takes the float32 tensors of `inputs` and returns one or more tensors. Its
        weights are not trained, but a device takes as long with them as with trained weights.
        """
        ...

    def inputs(self, number: int, program: str) -> Shapes:
        """Names and shapes of the program's inputs."""
        ...

    def describe(self, number: int) -> dict[str, Any]:
        """The architecture as JSON."""
        ...

    def identify(self, number: int) -> str:
        """Id of the architecture. It is valid in file names and does not depend on the number."""
        ...


def find(name: str) -> ProgramSource:
    """The codecs of a search space. `name` is the space's name or the path of its YAML file.

    Raises UserError for any other name and for a file that does not describe a space, and OSError
    for a file that cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation warnings of what the module imports
        source: ProgramSource = import_module(CODECS).find(name)
    return source
