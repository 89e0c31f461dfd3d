"""Sources of programs to measure, which are found by name.

The predictor knows op lists, but not the architectures that they are lowered from. A package with
programs to measure registers a provider as an entry point of the group
`latency_predictor.programs`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from latency_predictor.errors import UserError
from latency_predictor.ops import OpTable

if TYPE_CHECKING:
    from torch import nn

GROUP = "latency_predictor.programs"
"""Group of the entry points that name providers."""

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
        """Op lists of one program of each of these architectures, in this order."""
        ...

    def build(self, number: int, program: str) -> nn.Module:
        """The program as a module in inference form, whose weights cost as much as trained ones.

        It takes the float32 tensors of `inputs` and returns one or more tensors.
        """
        ...

    def inputs(self, number: int, program: str) -> Shapes:
        """Names and shapes of the program's inputs."""
        ...

    def describe(self, number: int) -> dict[str, Any]:
        """The architecture as JSON."""
        ...

    def identify(self, number: int) -> str:
        """Id of the architecture, valid in file names, that does not depend on its number."""
        ...


class Provider(Protocol):
    """The object or module that an entry point names. It provides sources by name."""

    def names(self) -> Sequence[str]:
        """Names of the sources that it provides."""
        ...

    def find(self, name: str) -> ProgramSource | None:
        """The source with a name or path, or None if this provider does not have it.

        Raises ValueError for a source that it has but that is invalid.
        """
        ...


class SourceError(UserError):
    """No valid source of programs has this name."""


def find(name: str) -> ProgramSource:
    """The source with this name from any installed provider. Raises `SourceError`."""
    providers = _providers()
    for provider in providers:
        try:
            source = provider.find(name)
        except ValueError as error:
            raise SourceError(f"programs {name!r}: {error}") from error
        if source is not None:
            return source
    known = sorted(known for provider in providers for known in provider.names())
    near = get_close_matches(name, known, n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise SourceError(
        f"no programs {name!r}; known: {', '.join(known) or 'none'}, or the path of a file{hint}"
    )


def _providers() -> list[Provider]:
    # `entry_points` is not used, because an old egg-info in the working directory would hide the
    # installed version.
    found = {
        entry.value: entry
        for distribution in distributions()
        for entry in distribution.entry_points.select(group=GROUP)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation warnings of a provider's imports
        return [entry.load() for entry in found.values()]
