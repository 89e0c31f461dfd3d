"""Record the ops of one network, whichever form it was read from, by one set of fusion rules.

The rules follow Core ML: a convolution or linear layer includes its bias, its normalisation,
constant scales and the activation that follows. Views cost nothing. In one respect the rules are
simpler than Core ML: an activation is fused even if its input is also used elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from latency_predictor.ops import BYTES_PER_VALUE, Kind, OpTable, one_program

TensorShape = tuple[int, ...]
_ABSORBING = {kind for kind in Kind if kind != Kind.MOVE}


@dataclass(frozen=True)
class Value:
    """A value that depends on the input of the network.

    `kind` is the kind of the op that computed it, or None for an input. `storage` is the number of
    that op, or -1 - i for input i: a view has the storage of the value that it shows. `copied_by`
    is the operator of a transpose whose copy is still to be made, or empty.
    """

    shape: TensorShape
    kind: Kind | None
    storage: int
    root: int
    """Number that the value shares with the values of which it is a pointwise function."""
    copied_by: str = ""


@dataclass(frozen=True)
class Source:
    """The origin of an op: its `layer` and its `operator`, by their names in the network.

    `reads` holds the storages (see `Value`) of its operands. `known` is False for an operator
    without a rule; it is recorded as a move of its bytes, and its arithmetic is not counted.
    """

    layer: str
    operator: str
    reads: tuple[int, ...]
    dilation: int = 1
    known: bool = True


@dataclass(frozen=True)
class NetworkOps:
    """The ops of one network in the order of execution, and the source of each.

    `input_shapes` holds the shape of each input, and `largest_rank` the largest number of
    dimensions of a value.
    """

    table: OpTable
    sources: tuple[Source, ...]
    input_shapes: tuple[TensorShape, ...]
    largest_rank: int

    def peak_activation_bytes(self) -> int:
        """Largest sum of the activations that are alive at once, in bytes of float16.

        A value is alive from its op to the last op that reads it, or to the end if none does. Views
        and fused ops take no memory of their own.
        """
        ops, inputs = len(self.sources), len(self.input_shapes)
        sizes = [prod(shape) * BYTES_PER_VALUE for shape in self.input_shapes]
        births = np.array([0] * inputs + list(range(ops)))
        deaths = np.full(inputs + ops, ops)
        for number, source in enumerate(self.sources):
            for storage in source.reads:
                deaths[storage + inputs if storage >= 0 else -1 - storage] = number + 1
        change = np.zeros(ops + 1, dtype=np.int64)
        held = np.array([*sizes, *self.table.out_bytes.tolist()], dtype=np.int64)
        np.add.at(change, births, held)
        np.add.at(change, deaths, -held)
        return int(np.cumsum(change).max())


class Recorder:
    """Records one row per fused op. Each method returns the value that the op computes.

    `layer` is the name that the next ops are given.
    """

    def __init__(self) -> None:
        self.layer = ""
        self.rows: list[dict[str, int]] = []
        self._sources: list[Source] = []
        self._input_shapes: list[TensorShape] = []
        self._roots = 0
        self._largest_rank = 0

    def network(self) -> NetworkOps:
        """The ops recorded so far, of which there is at least one."""
        return NetworkOps(
            one_program(self.rows),
            tuple(self._sources),
            tuple(self._input_shapes),
            self._largest_rank,
        )

    def input(self, shape: TensorShape) -> Value:
        """Add an input of the network."""
        self._input_shapes.append(shape)
        return self.view(Value(shape, None, -len(self._input_shapes), self._new_root()), shape)

    def view(self, value: Value, shape: TensorShape) -> Value:
        """The value in another shape, which costs nothing."""
        self._largest_rank = max(self._largest_rank, len(shape))
        return replace(value, shape=shape)

    def pointwise(self, operator: str, live: Sequence[Value], shape: TensorShape) -> Value:
        """A pointwise op. It is fused into the op before it if it has a single live operand."""
        if len(live) == 1 and live[0].kind in _ABSORBING:
            return self.view(live[0], shape)
        value = self.plain(operator, Kind.ELEMENTWISE, live, shape)
        return replace(value, root=live[0].root) if len(live) == 1 else value

    def plain(
        self,
        operator: str,
        kind: Kind,
        live: Sequence[Value],
        shape: TensorShape,
        kernel: int = 1,
        known: bool = True,
    ) -> Value:
        """An op without weights, over windows of `kernel` positions."""
        inputs, outputs = channels(live[0].shape), channels(shape)
        return self._append(
            Source(self.layer, operator, _storages(live), known=known),
            kind,
            shape,
            in_channels=inputs,
            out_channels=outputs,
            kernel=kernel,
            in_px=sum(prod(value.shape) for value in live) // max(inputs, 1),
            out_px=prod(shape) // max(outputs, 1),
        )

    def convolution(
        self,
        operator: str,
        live: Value,
        shape: TensorShape,
        taps: int,
        *,
        transposed: bool = False,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
    ) -> Value:
        """A convolution with windows of `taps` positions; channels are the second dimension."""
        inputs, outputs = live.shape[1], shape[1]
        return self._append(
            Source(self.layer, operator, _storages([live]), dilation),
            Kind.TRANSPOSED_CONV if transposed else Kind.CONV,
            shape,
            in_channels=inputs,
            out_channels=outputs,
            kernel=taps,
            stride=stride,
            groups=groups,
            in_px=prod(live.shape) // inputs,
            out_px=prod(shape) // outputs,
        )

    def linear(
        self,
        operator: str,
        live: Value,
        shape: TensorShape,
        depth: int,
        width: int,
        groups: int = 1,
    ) -> Value:
        """A product with a constant matrix [depth, width], or with one such matrix per group."""
        rows = prod(live.shape) // (depth * groups)
        return self._append(
            Source(self.layer, operator, _storages([live])),
            Kind.CONV,
            shape,
            in_channels=depth * groups,
            out_channels=width * groups,
            groups=groups,
            in_px=rows,
            out_px=rows,
        )

    def product(
        self, operator: str, live: Sequence[Value], shape: TensorShape, depth: int
    ) -> Value:
        """A product of two live values that sums over `depth` pairs for each output."""
        return self._append(
            Source(self.layer, operator, _storages(live)),
            Kind.MATMUL,
            shape,
            in_channels=depth,
            out_channels=shape[-1],
            in_px=sum(prod(value.shape) // depth for value in live),
            out_px=prod(shape) // shape[-1],
        )

    def _append(
        self,
        source: Source,
        kind: Kind,
        shape: TensorShape,
        *,
        in_channels: int,
        out_channels: int,
        in_px: int,
        out_px: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> Value:
        row = {
            "kind": int(kind), "count": 1, "in_channels": in_channels, "out_channels": out_channels,
            "kernel": kernel, "stride": stride, "groups": groups, "in_px": in_px, "out_px": out_px,
        }  # fmt: skip
        self.rows.append(row)
        self._sources.append(source)
        return self.view(Value(shape, kind, len(self.rows) - 1, self._new_root()), shape)

    def _new_root(self) -> int:
        self._roots += 1
        return self._roots


def channels(shape: TensorShape) -> int:
    """Channels come second in images and last in token sequences."""
    return shape[1] if len(shape) == 4 else shape[-1] if shape else 1


def _storages(live: Sequence[Value]) -> tuple[int, ...]:
    return tuple(value.storage for value in live)
