"""The search space: value sets from a YAML file, and a number for every architecture.

A space is a product of axes. Each chain is one axis, and the points of that axis are the distinct
(C, R, E, F) of the chain. Each parameter outside the chains is an axis of its own. The product
numbers all architectures without gaps or duplicates. The parameter values of a million numbers can
be computed as columns, without building an object for each architecture.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_predictor.errors import UserError
from space.architecture import CHOICES, DECODER_STRIDES, ENCODER_STRIDES, Architecture, Chain

CHAIN_FIELDS = ("C", "R", "E", "F")
CHAINS = tuple(
    f"{half}.{stride}"
    for half, strides in (("encoder", ENCODER_STRIDES), ("decoder", DECODER_STRIDES))
    for stride in strides
)
"""Names of the six chains, such as `encoder.4`, in order of use."""
SCALARS = ("latent_channels", "hyper_channels", *CHOICES)
"""Names of the parameters that belong to no chain."""
SECTIONS = ("encoder", "decoder", *SCALARS)
"""Top-level keys of a space file that describe parameters."""
PARAMETERS = (*(f"{chain}.{field}" for chain in CHAINS for field in CHAIN_FIELDS), *SCALARS)
"""Names of all parameters of an architecture, such as `decoder.16.C`."""

Value = int | str
Columns = dict[str, NDArray[Any]]
"""Maps parameter names to arrays of equal length, usually with one entry per architecture."""


class SpaceError(UserError):
    """An error in a space or architecture file, or an architecture that is not in a space."""


@dataclass(frozen=True)
class SearchSpace:
    """A search space: the value set of each parameter, and a reference architecture.

    All other architectures are compared with the reference.
    """

    name: str
    parameters: Mapping[str, tuple[Value, ...]]
    """Value set of each parameter in `PARAMETERS`. A parameter with one value is fixed."""
    reference: Architecture

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SearchSpace:
        """Make a space from the content of a space file such as `configs/space/*.yaml`.

        Raises SpaceError if a parameter is unknown, missing, empty or out of range, if the name is
        missing, or if the reference is not in the space. The message names the parameter and says
        what is expected.
        """
        unknown = sorted(set(map(str, config)) - {"name", "reference", *SECTIONS})
        if unknown:
            raise SpaceError(_unknown(unknown[0], SECTIONS))
        if "name" not in config:
            raise SpaceError("'name' is missing: give the space a name, such as 'name: mine'")
        name = str(config["name"])
        parameters = {key: _values(key, raw) for key, raw in _flatten(config).items()}
        reference = config.get("reference")
        if not isinstance(reference, Mapping):
            raise SpaceError(f"space {name}: 'reference' must give one value for every parameter")
        try:
            space = cls(name, parameters, named_point(reference))
        except SpaceError as error:
            raise SpaceError(f"space {name}: reference: {error}") from error
        space._check_buildable()
        space.values(space.reference)
        return space

    def _check_buildable(self) -> None:
        """Raise SpaceError if an architecture cannot have one of the values."""
        for name, values in self.parameters.items():
            for value in values:
                try:
                    to_architecture({**from_architecture(self.reference), name: value})
                except ValueError as error:
                    raise SpaceError(f"space {self.name}: parameter '{name}': {error}") from error

    @cached_property
    def axes(self) -> tuple[Columns, ...]:
        """Parameter values at the points of each axis, as arrays with one entry per point.

        An axis is either a chain, with its parameters C, R, E and F, or one other parameter.
        """
        axes: list[Columns] = []
        for chain in CHAINS:
            product = itertools.product(*(self.parameters[f"{chain}.{f}"] for f in CHAIN_FIELDS))
            distinct = dict.fromkeys(Chain(*(int(v) for v in values)) for values in product)
            points = np.array([(c.C, c.R, c.E, c.F) for c in distinct], dtype=np.int64)
            names = (f"{chain}.{f}" for f in CHAIN_FIELDS)
            axes.append(dict(zip(names, points.T, strict=True)))
        return (*axes, *({name: np.array(self.parameters[name])} for name in SCALARS))

    @cached_property
    def _radices(self) -> tuple[int, ...]:
        return tuple(len(next(iter(axis.values()))) for axis in self.axes)

    @cached_property
    def size(self) -> int:
        """Number of distinct architectures in the space."""
        return math.prod(self._radices)

    def digits(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Positions of n architectures in the space, given their `numbers` [n].

        The result has one array [n] per axis. It holds, for each architecture, the index of a point
        in `axes`.
        """
        return np.unravel_index(numbers, self._radices)

    def columns(self, numbers: NDArray[np.int64]) -> Columns:
        """Parameter values of n architectures, given their `numbers` [n] in [0, size)."""
        points = zip(self.axes, self.digits(numbers), strict=True)
        return {name: values[digit] for axis, digit in points for name, values in axis.items()}

    def points(self, numbers: NDArray[np.int64]) -> pd.DataFrame:
        """Values of the searched parameters as a table, one row for each of `numbers` [n].

        A parameter is searched if it has more than one value; its column is categorical. In a chain
        without blocks (R = 0), E and F are the first values of their value sets.
        """
        columns = {}
        for places, digit in zip(self._places, self.digits(numbers), strict=True):
            for name, place in places.items():
                if len(self.parameters[name]) > 1:
                    choices: Sequence[Any] = self.parameters[name]
                    columns[name] = pd.Categorical.from_codes(place[digit], pd.Index(choices))
        return pd.DataFrame(columns)

    @cached_property
    def _places(self) -> tuple[dict[str, NDArray[np.int8]], ...]:
        """Indices of parameter values in their value sets, at the points of each axis."""
        places = []
        for axis in self.axes:
            empty = [axis[name] == 0 for name in axis if name.endswith(".R")]
            columns = {}
            for name, values in axis.items():
                choices = list(self.parameters[name])
                if empty and name.endswith((".E", ".F")):
                    values = np.where(empty[0], choices[0], values)
                columns[name] = np.array([choices.index(v) for v in values.tolist()], dtype=np.int8)
            places.append(columns)
        return tuple(places)

    def architecture(self, number: int) -> Architecture:
        """The architecture with this number, from 0 to size - 1."""
        columns = self.columns(np.array([number]))
        return to_architecture({name: values[0].item() for name, values in columns.items()})

    def number(self, architecture: Architecture) -> int:
        """The number of an architecture. Raises SpaceError if the space does not contain it."""
        self.values(architecture)
        point = from_architecture(architecture)
        matches = (
            np.logical_and.reduce([values == point[name] for name, values in axis.items()])
            for axis in self.axes
        )
        digits = tuple(int(matching.argmax()) for matching in matches)
        return int(np.ravel_multi_index(digits, self._radices))

    def values(self, architecture: Architecture) -> dict[str, Value]:
        """Parameter values of an architecture in the space, by parameter name.

        In a chain without blocks (R = 0), E and F are the first values of their value sets. Raises
        SpaceError if the space does not contain the architecture.
        """
        point = from_architecture(architecture)
        for chain in CHAINS:
            if point[f"{chain}.R"] == 0:
                point |= {f"{chain}.{f}": self.parameters[f"{chain}.{f}"][0] for f in "EF"}
        for name, value in point.items():
            if value not in self.parameters[name]:
                raise SpaceError(
                    f"space {self.name}: {name}={value!r} is not one of {self.parameters[name]}"
                )
        return point

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of `n` architectures, drawn uniformly over the space, with replacement."""
        return rng.integers(self.size, size=n)

    def sample_by_parameter(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of `n` architectures, drawn with replacement, with each parameter uniform.

        In `sample` a depth of R = 0 is rare, because it is a single point of a chain's axis. Here
        it is as frequent as any other depth.
        """
        digits = [rng.choice(len(p), size=n, p=p) for p in self._point_probabilities]
        return np.ravel_multi_index(digits, self._radices)

    @cached_property
    def _point_probabilities(self) -> tuple[NDArray[np.float64], ...]:
        """Probability of the points of each axis if every parameter is drawn uniformly."""
        probabilities = []
        for axis in self.axes:
            probability = np.ones(len(next(iter(axis.values()))))
            depth = next((axis[name] for name in axis if name.endswith(".R")), probability)
            for name in axis:
                # All expansions of a chain without blocks are one point.
                drawn = (depth > 0) | (not name.endswith((".E", ".F")))
                probability[drawn] /= len(self.parameters[name])
            probabilities.append(probability)
        return tuple(probabilities)

    def neighbours(
        self, numbers: NDArray[np.int64], n: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Numbers of `n` random neighbours of the architectures `numbers` [b].

        A neighbour is a random one of the architectures, changed on at most two axes. The same
        neighbour may occur several times.
        """
        digits = np.stack(self.digits(rng.choice(numbers, n)))
        for _ in range(2):
            axis = rng.integers(len(digits), size=n)
            digits[axis, np.arange(n)] = rng.integers(np.take(self._radices, axis))
        return np.ravel_multi_index(tuple(digits), self._radices)


def to_architecture(values: Mapping[str, Value]) -> Architecture:
    """Build the architecture that has the given values of all parameters.

    `values` maps every name in `PARAMETERS` to a value. Raises ValueError if a value is out of
    range.
    """

    def chain(name: str) -> Chain:
        return Chain(*(values[f"{name}.{field}"] for field in CHAIN_FIELDS))  # type: ignore[arg-type]

    first, second, third, fourth, fifth, sixth = map(chain, CHAINS)
    scalars: dict[str, Any] = {name: values[name] for name in SCALARS}
    return Architecture((first, second, third), (fourth, fifth, sixth), **scalars)


def extreme(
    space: SearchSpace, like: Architecture, pick: Callable[[Iterable[int]], int]
) -> Architecture:
    """The largest (`pick` is `max`) or smallest (`pick` is `min`) architecture of a space.

    Every numerical parameter has its largest or smallest value. The categorical parameters have the
    same values as in `like`.
    """
    return to_architecture(
        {
            name: getattr(like, name) if name in CHOICES else pick(map(int, values))
            for name, values in space.parameters.items()
        }
    )


def named_point(config: Mapping[str, Any]) -> Architecture:
    """The architecture that `config` describes, in the form of `reference` in a space file.

    In this form every parameter has one value. Raises SpaceError if a parameter is unknown, missing
    or out of range; the message names the parameter.
    """
    unknown = sorted(set(map(str, config)) - set(SECTIONS))
    if unknown:
        raise SpaceError(_unknown(unknown[0], SECTIONS))
    point = {key: _values(key, [raw])[0] for key, raw in _flatten(config).items()}
    try:
        return to_architecture(point)
    except ValueError as error:
        raise SpaceError(str(error)) from error


def from_architecture(architecture: Architecture) -> dict[str, Value]:
    """Values of all parameters of an architecture, by name: the inverse of `to_architecture`."""
    chains = zip(CHAINS, (*architecture.encoder, *architecture.decoder), strict=True)
    values: dict[str, Value] = {
        f"{name}.{field}": getattr(chain, field) for name, chain in chains for field in CHAIN_FIELDS
    }
    return values | {name: getattr(architecture, name) for name in SCALARS}


def _flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Raw values by parameter name. Raises SpaceError for an unknown or missing name."""
    flat: dict[str, Any] = {}
    for half in ("encoder", "decoder"):
        for stride, chain in _mapping(half, config.get(half)).items():
            for field, raw in _mapping(f"{half}.{stride}", chain).items():
                flat[f"{half}.{stride}.{field}"] = raw
    flat |= {name: config[name] for name in SCALARS if name in config}
    for name in flat:
        if name not in PARAMETERS:
            raise SpaceError(_unknown(name, PARAMETERS))
    missing = [name for name in PARAMETERS if name not in flat]
    if missing:
        raise SpaceError(f"parameter '{missing[0]}' is missing: give it at least one value")
    return flat


def _mapping(name: str, raw: Any) -> Mapping[Any, Any]:
    if not isinstance(raw, Mapping):
        raise SpaceError(f"'{name}' must map names to values, not {raw!r}")
    return raw


def _values(name: str, raw: Any) -> tuple[Value, ...]:
    """Values of one parameter in the file's order, without repetitions."""
    values = raw if isinstance(raw, Sequence) and not isinstance(raw, str) else ()
    if not values or not all(isinstance(value, int | str) for value in values):
        raise SpaceError(
            f"parameter '{name}' has no values: expected a list such as [1, 2], not {raw!r}"
        )
    return tuple(dict.fromkeys(values))


def _unknown(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return f"unknown parameter '{name}'; {hint}"
