"""The ops of an ONNX file. Shapes are inferred by the package `onnx`; no weights are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from latency_predictor.networks.graph import GraphRecorder, summed_over
from latency_predictor.networks.recorder import NetworkOps, TensorShape, Value
from latency_predictor.networks.shapes import UnreadableModel, chosen_shapes
from latency_predictor.ops import Kind

_POINTWISE = {
    "Abs", "Add", "And", "BatchNormalization", "Celu", "Ceil", "Clip", "Cos", "Div", "Elu", "Equal",
    "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish",
    "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg",
    "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin",
    "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh", "ThresholdedRelu", "Where",
}  # fmt: skip
_VIEWS = {
    "Cast", "DequantizeLinear", "Dropout", "Expand", "Identity", "QuantizeLinear", "Slice", "Split",
}  # fmt: skip
_RESHAPES = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
_POOLS = {"AveragePool", "GlobalMaxPool", "LpPool", "MaxPool"}
_NORMS = {
    "CumSum", "GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization",
    "LogSoftmax", "LpNormalization", "RMSNormalization", "ReduceL1", "ReduceL2", "ReduceMax",
    "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Softmax", "TopK",
}  # fmt: skip
_RESIZES = {"GridSample", "Resize", "Upsample"}
_MOVES = {
    "Concat", "DepthToSpace", "Gather", "GatherElements", "GatherND", "Pad", "ScatterElements",
    "ScatterND", "SpaceToDepth", "Tile",
}  # fmt: skip
_KIND_OF = {
    **dict.fromkeys(_NORMS, Kind.NORM),
    **dict.fromkeys(_RESIZES, Kind.RESIZE),
    **dict.fromkeys(_MOVES, Kind.MOVE),
}
_ABOUT_SHAPES = {"Shape", "Size"}


def read_onnx(path: Path, shapes: Sequence[TensorShape] = ()) -> NetworkOps:
    """The ops of the ONNX file `path`, in the order of its nodes.

    `shapes` are the shapes of its inputs, in order, and are needed where the file leaves a side
    open; an open first side is a batch of one. Raises UnreadableModel, and UserError if the shapes
    do not fit.
    """
    graph = _inferred(path, shapes)
    reader = _Reader(graph)
    for value, shape in zip(_inputs(graph), reader.input_shapes, strict=True):
        reader.values[value.name] = reader.input(shape)
    for node in graph.node:
        live = [reader.values[name] for name in node.input if name in reader.values]
        if live and node.op_type not in _ABOUT_SHAPES:
            reader.run(node, live)
    if not reader.rows:
        raise UnreadableModel(f"'{path}' holds no operations on its input")
    return reader.network()


def _inferred(path: Path, shapes: Sequence[TensorShape]) -> Any:
    """The graph of a file, with the shape of every value that could be inferred."""
    import onnx
    from onnx import inliner, shape_inference

    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError:
        raise
    except Exception as error:  # protobuf has no typed errors
        raise UnreadableModel(f"'{path}' is not an ONNX file, or is damaged: {error}") from error
    graph = model.graph
    open_shapes = [
        tuple(side.dim_value or None for side in value.type.tensor_type.shape.dim)
        for value in _inputs(graph)
    ]
    names = [value.name for value in _inputs(graph)]
    chosen = chosen_shapes(str(path), names, open_shapes, shapes)
    for value, shape in zip(_inputs(graph), chosen, strict=True):
        sides = value.type.tensor_type.shape
        del sides.dim[:]
        for side in shape:
            sides.dim.add().dim_value = side
    # Shapes that the file states may be those of another input size.
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        if model.functions:
            model = inliner.inline_local_functions(model)
        return shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    except Exception as error:  # onnx raises errors of several types, RuntimeError among them
        raise UnreadableModel(f"'{path}': shapes do not fit: {error}") from error


def _inputs(graph: Any) -> list[Any]:
    stored = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in stored]


class _Reader(GraphRecorder):
    """Records the nodes of a graph in order."""

    def __init__(self, graph: Any) -> None:
        super().__init__()
        self.shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            if value.type.tensor_type.HasField("shape"):
                sides = value.type.tensor_type.shape.dim
                if all(side.HasField("dim_value") for side in sides):
                    self.shapes[value.name] = tuple(side.dim_value for side in sides)
        self.input_shapes = [self.shapes[value.name] for value in _inputs(graph)]
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].HasField("t"):
                tensor = node.attribute[0].t
                self._constants[node.output[0]] = tensor
                self.shapes.setdefault(node.output[0], tuple(tensor.dims))

    def run(self, node: Any, live: list[Value]) -> None:
        """Record a node on live values. Raises UnreadableModel for an unknown shape."""
        shape = self._shape(node, node.output[0])
        self.layer = self._layer(node)
        value = self._record(node, live, shape)
        for name in node.output:
            if name in self.shapes:
                self.values[name] = self.view(value, self.shapes[name])

    def _record(self, node: Any, live: list[Value], shape: TensorShape) -> Value:
        name = node.op_type
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if name in _VIEWS:
            return self.view(live[0], shape)
        if name in _RESHAPES:
            return self.reshaped(live[0], shape)
        if name in _POINTWISE:
            return self.computed(name, live, shape)
        if name in ("Conv", "ConvTranspose"):
            return self._convolution(node, attributes, live[0], shape)
        if name in ("Gemm", "MatMul"):
            matrix = self._shape(node, node.input[1])
            transposed = name == "Gemm" and "transB" in attributes and attributes["transB"].i == 1
            return self.multiplied(name, node.input[:2], matrix, shape, transposed)
        if name == "Einsum" and len(node.input) == 2 == len(live):
            shapes = [value.shape for value in live]
            depth = summed_over(attributes["equation"].s.decode(), shapes)
            return self.product(name, live, shape, depth)
        if name == "Transpose":
            backwards = range(len(shape))[::-1]
            order = list(attributes["perm"].ints) if "perm" in attributes else backwards
            return self.transposed(name, live[0], shape, order)
        if name in ("GlobalAveragePool", "ReduceMean"):
            return self.averaged(name, live[0], shape, self._axes(node, attributes, live[0]))
        if name in _POOLS:
            window = attributes["kernel_shape"].ints if "kernel_shape" in attributes else None
            taps = prod(window or live[0].shape[2:])
            return self.plain(name, Kind.POOL, live, shape, taps)
        if name == "Gather" and self.shapes.get(node.input[1]) == ():
            return self.view(live[0], shape)
        kind = _KIND_OF.get(name, Kind.MOVE)
        return self.plain(name, kind, live, shape, known=name in _KIND_OF)

    def _convolution(
        self, node: Any, attributes: Mapping[str, Any], live: Value, shape: TensorShape
    ) -> Value:
        def largest(name: str) -> int:
            return max(attributes[name].ints) if name in attributes else 1

        return self.convolution(
            node.op_type,
            live,
            shape,
            prod(self._shape(node, node.input[1])[2:]),
            transposed=node.op_type == "ConvTranspose",
            stride=largest("strides"),
            groups=attributes["group"].i if "group" in attributes else 1,
            dilation=largest("dilations"),
        )

    def _axes(self, node: Any, attributes: Mapping[str, Any], live: Value) -> list[int]:
        """Dimensions over which a mean is taken: an attribute before opset 18, then an input."""
        from onnx import numpy_helper

        if node.op_type == "GlobalAveragePool":
            return list(range(2, len(live.shape)))
        if "axes" in attributes:
            return list(attributes["axes"].ints)
        stored = self._constants.get(node.input[1]) if len(node.input) > 1 else None
        if stored is None:
            return list(range(len(live.shape)))
        return [int(axis) for axis in numpy_helper.to_array(stored)]

    def _layer(self, node: Any) -> str:
        """The name of the node's weights without `.weight`, or else of the node."""
        weights = [name for name in node.input[1:] if name.endswith(".weight")]
        return weights[0].removesuffix(".weight") if weights else node.name or node.output[0]

    def _shape(self, node: Any, name: str) -> TensorShape:
        if name not in self.shapes:
            raise UnreadableModel(
                f"the shape of {name!r} at node {node.name!r} ({node.op_type}) cannot be inferred; "
                "simplify the file first, for example with onnxsim, or state --input"
            )
        return self.shapes[name]
