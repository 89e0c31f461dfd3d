"""The search space: value sets from a YAML file, and every architecture of them by number.

A space is a product of axes: one per chain, whose points are its distinct (C, R, E, F), and one per
remaining parameter. Architectures are thereby numbered without gaps or duplicates, and any of them,
or a million, can be written down as columns of values without building an object for each.
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

from space.architecture import CHOICES, DECODER_STRIDES, ENCODER_STRIDES, Architecture, Chain

CHAIN_FIELDS = ("C", "R", "E", "F")
CHAINS = tuple(
    f"{half}.{stride}"
    for half, strides in (("encoder", ENCODER_STRIDES), ("decoder", DECODER_STRIDES))
    for stride in strides
)
"""Names of the six chains, as `encoder.4`, in order of use."""
SCALARS = ("latent_channels", "hyper_channels", *CHOICES)
SECTIONS = ("encoder", "decoder", *SCALARS)
"""What a file says of parameters, at its top level."""
PARAMETERS = (*(f"{chain}.{field}" for chain in CHAINS for field in CHAIN_FIELDS), *SCALARS)
"""Names of all parameters of the family, as `decoder.16.C`."""

Value = int | str
Columns = dict[str, NDArray[Any]]
"""Values of many architectures: parameter name to an array with one entry per architecture."""


class SpaceError(ValueError):
    """A space file that does not describe a search space."""


@dataclass(frozen=True)
class SearchSpace:
    """Value sets of all parameters, and the reference architecture that scores are relative to."""

    name: str
    parameters: Mapping[str, tuple[Value, ...]]
    """Every name of `PARAMETERS` with its values; one value means that the parameter is fixed."""
    reference: Architecture

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SearchSpace:
        """Read the content of a `configs/space/*.yaml`.

        Raises SpaceError naming the parameter that is unknown, missing, empty or out of range, and
        what would be accepted.
        """
        unknown = sorted(set(map(str, config)) - {"name", "reference", *SECTIONS})
        if unknown:
            raise SpaceError(_unknown(unknown[0], SECTIONS))
        if "name" not in config:
            raise SpaceError("a space needs a 'name'")
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
        """Every value must be acceptable to an architecture, whatever it is combined with."""
        for name, values in self.parameters.items():
            for value in values:
                try:
                    to_architecture({**from_architecture(self.reference), name: value})
                except ValueError as error:
                    raise SpaceError(f"space {self.name}: parameter '{name}': {error}") from error

    @cached_property
    def axes(self) -> tuple[Columns, ...]:
        """Values at the points of each axis: (C, R, E, F) of a chain, or one other parameter."""
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
        """Number of distinct architectures."""
        return math.prod(self._radices)

    def digits(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Points on each axis of the architectures `numbers` [n], each in [0, size)."""
        return np.unravel_index(numbers, self._radices)

    def columns(self, numbers: NDArray[np.int64]) -> Columns:
        """Parameter values of the architectures `numbers` [n], each in [0, size)."""
        points = zip(self.axes, self.digits(numbers), strict=True)
        return {name: values[digit] for axis, digit in points for name, values in axis.items()}

    def points(self, numbers: NDArray[np.int64]) -> pd.DataFrame:
        """Searched parameters of the architectures `numbers` [n], as categories: their sets.

        Where a chain has no blocks, its expansions are the first of theirs.
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
        """Where in their sets the values at the points of each axis are."""
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
        """The architecture of one number."""
        columns = self.columns(np.array([number]))
        return to_architecture({name: values[0].item() for name, values in columns.items()})

    def number(self, architecture: Architecture) -> int:
        """The number of an architecture. Raises SpaceError for one outside the space."""
        self.values(architecture)
        point = from_architecture(architecture)
        matches = (
            np.logical_and.reduce([values == point[name] for name, values in axis.items()])
            for axis in self.axes
        )
        digits = tuple(int(matching.argmax()) for matching in matches)
        return int(np.ravel_multi_index(digits, self._radices))

    def values(self, architecture: Architecture) -> dict[str, Value]:
        """The value of every parameter. Raises SpaceError for an architecture outside the space.

        Where a chain has no blocks, its expansions are the first of their sets.
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
        """Numbers of `n` architectures, uniform over the distinct ones, with replacement."""
        return rng.integers(self.size, size=n)

    def sample_by_parameter(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of `n` architectures, with replacement, whose parameters are drawn one by one.

        Chains without blocks, one point of an axis each, are then as frequent as any other depth.
        """
        digits = [rng.choice(len(share), size=n, p=share) for share in self._shares]
        return np.ravel_multi_index(digits, self._radices)

    @cached_property
    def _shares(self) -> tuple[NDArray[np.float64], ...]:
        """Probability of the points of each axis where every parameter is uniform on its own."""
        shares = []
        for axis in self.axes:
            share = np.ones(len(next(iter(axis.values()))))
            depth = next((axis[name] for name in axis if name.endswith(".R")), share)
            for name in axis:
                # All expansions of a chain without blocks are one point.
                drawn = (depth > 0) | (not name.endswith((".E", ".F")))
                share[drawn] /= len(self.parameters[name])
            shares.append(share)
        return tuple(shares)

    def neighbours(
        self, numbers: NDArray[np.int64], n: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Numbers of `n` architectures, with replacement, each of which differs from a random one
        of `numbers` [b] in two axes at most.
        """
        digits = np.stack(self.digits(rng.choice(numbers, n)))
        for _ in range(2):
            axis = rng.integers(len(digits), size=n)
            digits[axis, np.arange(n)] = rng.integers(np.take(self._radices, axis))
        return np.ravel_multi_index(tuple(digits), self._radices)


def to_architecture(values: Mapping[str, Value]) -> Architecture:
    """Architecture of one value per parameter name. Raises ValueError for a value out of range."""

    def chain(name: str) -> Chain:
        return Chain(*(values[f"{name}.{field}"] for field in CHAIN_FIELDS))  # type: ignore[arg-type]

    first, second, third, fourth, fifth, sixth = map(chain, CHAINS)
    scalars: dict[str, Any] = {name: values[name] for name in SCALARS}
    return Architecture((first, second, third), (fourth, fifth, sixth), **scalars)


def extreme(
    space: SearchSpace, like: Architecture, pick: Callable[[Iterable[int]], int]
) -> Architecture:
    """The largest (`pick` = max) or smallest (min) of a space that makes the choices of `like`."""
    return to_architecture(
        {
            name: getattr(like, name) if name in CHOICES else pick(map(int, values))
            for name, values in space.parameters.items()
        }
    )


def named_point(config: Mapping[str, Any]) -> Architecture:
    """Architecture of a file that gives every parameter one value, in the form of a `reference`.

    Raises SpaceError naming the parameter that is unknown, missing or out of range.
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
    """One value per parameter name: the inverse of `to_architecture`."""
    chains = zip(CHAINS, (*architecture.encoder, *architecture.decoder), strict=True)
    values: dict[str, Value] = {
        f"{name}.{field}": getattr(chain, field) for name, chain in chains for field in CHAIN_FIELDS
    }
    return values | {name: getattr(architecture, name) for name in SCALARS}


def _flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Parameter name to what the file says. Raises SpaceError for unknown or missing names."""
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
    """Values of one parameter, ordered and without repetitions."""
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
