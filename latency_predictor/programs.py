"""Where programs to measure come from: sets of them by number, found by name.

The predictor knows op lists, not what they are lowered from. A package that has programs to measure
registers a provider as an entry point of the group `latency_predictor.programs`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from latency_predictor.ops import OpTable

if TYPE_CHECKING:
    from torch import nn

GROUP = "latency_predictor.programs"

Shapes = dict[str, tuple[int, ...]]
"""Shape of each input by name, in the order in which `forward` takes them."""


class ProgramSource(Protocol):
    """Architectures by number, each of one or several programs."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int:
        """Number of architectures; they are numbered from 0."""
        ...

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of the programs of an architecture, `encoder` and `decoder` say."""
        ...

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of `n` architectures, drawn with replacement."""
        ...

    def lower(self, numbers: NDArray[np.int64], program: str) -> OpTable:
        """Op lists of one program of these architectures, in their order."""
        ...

    def build(self, number: int, program: str) -> nn.Module:
        """The program as a module in inference form, with weights that cost what trained ones do.

        It takes the float32 tensors of `inputs`, and returns one tensor or several.
        """
        ...

    def inputs(self, number: int, program: str) -> Shapes:
        """What the program takes."""
        ...

    def describe(self, number: int) -> dict[str, Any]:
        """The architecture as JSON."""
        ...

    def identify(self, number: int) -> str:
        """A name for the architecture that stays the same whatever it is numbered; a file name."""
        ...


class Provider(Protocol):
    """What an entry point names: a module or an object that knows some sources."""

    def names(self) -> Sequence[str]:
        """The names that it knows."""
        ...

    def find(self, name: str) -> ProgramSource | None:
        """The source of a name or a path; None where it is not this provider's.

        Raises ValueError for a source of its own that is unsound.
        """
        ...


class SourceError(ValueError):
    """No programs can be had under a name."""


def find(name: str) -> ProgramSource:
    """The programs that are called `name` by any installed provider. Raises `SourceError`."""
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
        f"no programs {name!r}; known: {', '.join(known) or 'none'}, or a file of one's own{hint}"
    )


def _providers() -> list[Provider]:
    # Not `entry_points`: where an egg-info of an earlier version lies in the working directory, it
    # would hide what is installed.
    found = {
        entry.value: entry
        for distribution in distributions()
        for entry in distribution.entry_points.select(group=GROUP)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a provider's own imports deprecate
        return [entry.load() for entry in found.values()]
