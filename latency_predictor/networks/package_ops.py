"""The op list of a saved Core ML package, from which the package's latency can be predicted.

The ops are read from the program in the package. They are fused by the rules of `trace`, as are the
ops of the published networks that the predictor is calibrated on: a convolution includes its bias
and the pointwise ops that follow, and slices and splits are views. coremltools may merge a
concatenation and a channel shuffle into one interleaved concatenation. In this case both are
counted, as in ShuffleNetV2.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from latency_predictor.errors import UserError
from latency_predictor.measure.coreml import quiet_coremltools
from latency_predictor.ops import Kind, OpTable, one_program

POINTWISE = {
    "relu", "leaky_relu", "gelu", "silu", "tanh", "exp", "abs", "round",
    "add", "sub", "mul", "real_div",
}  # fmt: skip
VIEWS = {"expand_dims", "split", "slice_by_index"}
MOVES = {"concat", "pixel_shuffle"}
CONVOLUTIONS = {"conv": Kind.CONV, "conv_transpose": Kind.TRANSPOSED_CONV, "linear": Kind.CONV}
MAX_RANK = 5
"""Largest number of dimensions of a value on the Neural Engine.
Bryngelson, arXiv 2606.22283, chapter 4."""

TensorShape = tuple[int, ...]


class PackageError(UserError):
    """The latency of a package's program cannot be predicted from its ops."""


@dataclass(frozen=True)
class PackageOps:
    """The ops of a package.

    `table` holds the fused ops. `operations` counts Core ML's own operations by name, except
    constants.
    """

    table: OpTable
    operations: Counter[str]


def read_package(path: Path) -> PackageOps:
    """Read the ops of the package `path`.

    Raises PackageError if a value has more than MAX_RANK dimensions, or if an operation is not
    known to run on the Neural Engine. The known ones are in POINTWISE, VIEWS, MOVES and
    CONVOLUTIONS.
    """
    specification = quiet_coremltools().utils.load_spec(str(path))
    function = specification.mlProgram.functions["main"]
    program = _Program()
    for value in function.inputs:
        program.shapes[value.name] = _shape(value)
        program.producer[value.name] = None
    operations: Counter[str] = Counter()
    for operation in function.block_specializations[function.opset].operations:
        if operation.type == "const":
            program.constant(operation)
            continue
        operations[operation.type] += 1
        try:
            program.run(operation)
        except PackageError as error:
            raise PackageError(f"{path.name}: {error}") from error
    return PackageOps(one_program(program.rows), operations)


@dataclass
class _Program:
    """Visits operations in order. `producer` maps each live value to the kind that computed it."""

    shapes: dict[str, TensorShape] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    """Operations that define the constants, by name."""
    producer: dict[str, Kind | None] = field(default_factory=dict)
    rows: list[dict[str, int]] = field(default_factory=list)

    def constant(self, operation: Any) -> None:
        (output,) = operation.outputs
        self.shapes[output.name] = _shape(output)
        self.constants[output.name] = operation

    def run(self, operation: Any) -> None:
        """Append the rows of an operation on live values. Raises PackageError."""
        for output in operation.outputs:
            self.shapes[output.name] = _shape(output)
            if len(self.shapes[output.name]) > MAX_RANK:
                raise PackageError(f"{output.name} has more than {MAX_RANK} dimensions")
        arguments = [x.name for value in operation.inputs.values() for x in value.arguments]
        live = [name for name in arguments if name in self.producer]
        kind = self._record(operation, live)
        for output in operation.outputs:
            self.producer[output.name] = kind

    def _record(self, operation: Any, live: list[str]) -> Kind | None:
        """Append the rows of an operation and return the kind that computes its outputs."""
        before = self.producer[live[0]]
        name, out = operation.type, self.shapes[operation.outputs[0].name]
        if name in VIEWS:
            return before
        if name in CONVOLUTIONS:
            return self._convolution(operation, live[0], out)
        if name in POINTWISE:
            if len(live) == 1 and before not in (None, Kind.MOVE):
                return before
            return self._plain(Kind.ELEMENTWISE, [self.shapes[x] for x in live], out)
        if name in MOVES:
            self._plain(Kind.MOVE, [self.shapes[x] for x in live], out)
            if name == "concat" and self._number(operation, "interleave"):
                self._plain(Kind.MOVE, [out], out)
            return Kind.MOVE
        raise PackageError(
            f"operation {name!r} is not known to run on the Neural Engine; known: "
            + ", ".join(sorted({*POINTWISE, *VIEWS, *MOVES, *CONVOLUTIONS}))
        )

    def _convolution(self, operation: Any, x: str, out: TensorShape) -> Kind:
        weight = self.shapes[operation.inputs["weight"].arguments[0].name]
        linear = operation.type == "linear"
        return self._append(
            CONVOLUTIONS[operation.type],
            [self.shapes[x]],
            out,
            kernel=prod(weight[2:]),
            stride=1 if linear else self._number(operation, "strides"),
            groups=1 if linear else self._number(operation, "groups"),
        )

    def _plain(self, kind: Kind, live: list[TensorShape], out: TensorShape) -> Kind:
        return self._append(kind, live, out, kernel=1, stride=1, groups=1)

    def _append(self, kind: Kind, live: list[TensorShape], out: TensorShape, **window: int) -> Kind:
        inputs, outputs = _channels(live[0]), _channels(out)
        in_px, out_px = sum(map(prod, live)) // inputs, prod(out) // outputs
        row = {
            "kind": int(kind), "count": 1, "in_channels": inputs, "out_channels": outputs,
            "in_px": in_px, "out_px": out_px, **window,
        }  # fmt: skip
        self.rows.append(row)
        return kind

    def _number(self, operation: Any, name: str) -> int:
        """The largest of an argument's constant integers or booleans."""
        constant = self.constants[operation.inputs[name].arguments[0].name]
        tensor = constant.attributes["val"].immediateValue.tensor
        return max(getattr(tensor, tensor.WhichOneof("value")).values)


def _shape(value: Any) -> TensorShape:
    return tuple(side.constant.size for side in value.type.tensorType.dimensions)


def _channels(shape: TensorShape) -> int:
    """Channels come second in images and last in vectors."""
    return shape[1] if len(shape) == 4 else shape[-1]
