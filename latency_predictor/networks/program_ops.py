"""The ops of any Core ML program: a package (.mlpackage), or a model file that holds a program.

`coremltools` reads the program. `package_ops` reads the packages that this project writes, and is
strict: it accepts no operation but those that its codecs have.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from latency_predictor.measure.coreml import quiet_coremltools
from latency_predictor.networks.graph import GraphRecorder, summed_over
from latency_predictor.networks.recorder import NetworkOps, TensorShape, Value
from latency_predictor.networks.shapes import UnreadableModel, chosen_shapes
from latency_predictor.ops import Kind

_GROUPS = {
    "elementwise_binary": Kind.ELEMENTWISE,
    "elementwise_unary": Kind.ELEMENTWISE,
    "activation": Kind.ELEMENTWISE,
    "normalization": Kind.NORM,
    "reduction": Kind.NORM,
    "image_resizing": Kind.RESIZE,
    "pool": Kind.POOL,
}
"""Kind of the operations that a module of coremltools defines."""
_KIND_OF = {
    "batch_norm": Kind.ELEMENTWISE, "softmax": Kind.NORM, "select": Kind.ELEMENTWISE,
    "cumsum": Kind.NORM, "topk": Kind.NORM,
    **dict.fromkeys(
        ("concat", "stack", "pad", "tile", "pixel_shuffle", "pixel_unshuffle", "depth_to_space",
         "space_to_depth", "space_to_batch", "batch_to_space", "reverse", "sliding_windows",
         "gather", "gather_nd", "gather_along_axis", "scatter", "scatter_nd",
         "scatter_along_axis", "slice_update"),
        Kind.MOVE,
    ),
}  # fmt: skip
"""Kinds of operations that differ from those of their module."""
_VIEWS = {
    "cast", "identity", "split", "slice_by_index", "slice_by_size", "quantize", "dequantize",
    "crop",
}  # fmt: skip
_RESHAPES = {"reshape", "squeeze", "expand_dims", "flatten2d"}
_ABOUT_SHAPES = {"shape"}


def read_program(path: Path, shapes: Sequence[TensorShape] = ()) -> NetworkOps:
    """The ops of the function `main` of the Core ML program in `path`, in their order.

    `shapes` are the shapes of its inputs, in order, where the program leaves a side open. Raises
    UnreadableModel, and UserError for shapes that do not fit.
    """
    function = _function(path)
    variables = list(function.inputs.values())
    stated = [tuple(_side(side) for side in variable.shape) for variable in variables]
    chosen = chosen_shapes(str(path), list(function.inputs), stated, shapes)
    if chosen != stated:
        _resize(path, function, chosen)
    reader = _Reader()
    for variable, shape in zip(variables, chosen, strict=True):
        reader.values[variable.name] = reader.input(shape)
    for operation in function.operations:
        live = [reader.values[x] for x in _arguments(operation) if x in reader.values]
        if live and operation.op_type not in _ABOUT_SHAPES:
            reader.run(operation, live)
    if not reader.rows:
        raise UnreadableModel(f"'{path}' holds no operations on its input")
    return reader.network()


def _function(path: Path) -> Any:
    coremltools = quiet_coremltools()
    from coremltools.converters.mil.frontend.milproto.load import load

    try:
        model = coremltools.utils.load_spec(str(path))
        kind = model.WhichOneof("Type")
        if kind is None:
            raise ValueError("it states no type of model")
    except OSError:
        raise
    except Exception as error:  # coremltools and protobuf raise errors of several types
        raise UnreadableModel(f"'{path}' is no Core ML model, or is damaged: {error}") from error
    if kind != "mlProgram":
        raise UnreadableModel(
            f"'{path}' holds a model of type {kind!r}, which states no shapes; expected an ML "
            "program, as coremltools writes with convert_to='mlprogram'"
        )
    weights = str(path / "Data/com.apple.CoreML/weights") if path.is_dir() else ""
    try:
        program = load(model, model.specificationVersion, weights)
        return program.functions[program.default_function_name]
    except Exception as error:  # errors of several types, among them of missing weights
        raise UnreadableModel(f"'{path}': the program cannot be read: {error}") from error


def _resize(path: Path, function: Any, shapes: Sequence[TensorShape]) -> None:
    """Give the inputs of a function fixed shapes, and infer those of all other values anew."""
    from coremltools.converters.mil.mil import types

    try:
        for variable, shape in zip(function.inputs.values(), shapes, strict=True):
            variable._sym_type = types.tensor(variable.dtype, shape)
        for operation in function.operations:
            operation.type_value_inference(overwrite_output=True)
    except Exception as error:  # each operation rejects shapes in its own way
        sizes = ", ".join("x".join(map(str, shape)) for shape in shapes)
        raise UnreadableModel(f"'{path}' does not run on inputs of {sizes}: {error}") from error


class _Reader(GraphRecorder):
    """Records the operations of a function in order."""

    def run(self, operation: Any, live: list[Value]) -> None:
        """Record an operation on live values. Raises UnreadableModel for an unknown shape."""
        self.layer = operation.name
        value = self._record(operation, live, _shape(operation.outputs[0]))
        for output in operation.outputs:
            self.values[output.name] = self.view(value, _shape(output))

    def _record(self, operation: Any, live: list[Value], shape: TensorShape) -> Value:
        name = operation.op_type
        if name in _VIEWS:
            return self.view(live[0], shape)
        if name in _RESHAPES:
            return self.reshaped(live[0], shape)
        if name in ("conv", "conv_transpose"):
            return self.convolution(
                name,
                live[0],
                shape,
                prod(operation.weight.shape[2:]),
                transposed=name == "conv_transpose",
                stride=max(_integers(operation.strides)),
                groups=int(operation.groups.val),
                dilation=max(_integers(operation.dilations)),
            )
        if name == "linear":
            width, depth = operation.weight.shape
            return self.linear(name, live[0], shape, depth, width)
        if name == "matmul":
            operands = [operation.x.name, operation.y.name]
            transposed = bool(operation.transpose_y.val)
            return self.multiplied(name, operands, operation.y.shape, shape, transposed)
        if name == "einsum" and len(live) == 2:
            depth = summed_over(str(operation.equation.val), [value.shape for value in live])
            return self.product(name, live, shape, depth)
        if name == "scaled_dot_product_attention":
            query, key, value = live[:3]
            return self.attention(name, query, key, value, shape)
        if name == "transpose":
            return self.transposed(name, live[0], shape, _integers(operation.perm))
        if name == "reduce_mean":
            axes = _integers(operation.axes) or list(range(len(live[0].shape)))
            return self.averaged(name, live[0], shape, axes)
        return self._by_module(operation, live, shape)

    def _by_module(self, operation: Any, live: list[Value], shape: TensorShape) -> Value:
        """Record an operation that needs no rule of its own."""
        name = operation.op_type
        group = type(operation).__module__.rpartition(".")[2]
        kind = _KIND_OF.get(name, _GROUPS.get(group))
        if kind == Kind.ELEMENTWISE:
            return self.computed(name, live, shape)
        taps = prod(_integers(operation.kernel_sizes)) if kind == Kind.POOL else 1
        value = self.plain(
            name, Kind.MOVE if kind is None else kind, live, shape, taps, known=kind is not None
        )
        if name == "concat" and bool(operation.interleave.val):
            # coremltools may merge a concatenation and a channel shuffle. Both are counted.
            return self.plain(name, Kind.MOVE, [value], shape)
        return value


def _arguments(operation: Any) -> list[str]:
    """Names of the operands of an operation, in the order in which it states them."""
    names: list[str] = []
    for value in operation.inputs.values():
        group = value if isinstance(value, list | tuple) else [value]
        names += [one.name for one in group if one is not None]
    return names


def _integers(variable: Any) -> list[int]:
    return [] if variable is None or variable.val is None else [int(x) for x in variable.val]


def _shape(variable: Any) -> TensorShape:
    sides = [_side(side) for side in variable.shape]
    if None in sides:
        raise UnreadableModel(
            f"the shape of {variable.name!r} is not fixed by the shapes of the inputs"
        )
    return tuple(side for side in sides if side is not None)


def _side(side: Any) -> int | None:
    """The length of a side, or None for a symbol of coremltools."""
    try:
        return int(side)
    except TypeError:
        return None
