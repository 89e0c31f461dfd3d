"""A builder of ONNX graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
"""Version of the ONNX operators. It is the first that has Gelu."""
IR_VERSION = 9
"""Version of the ONNX file format that belongs to OPSET."""

Weights = Mapping[str, NDArray[np.float32]]


class Graph:
    """Nodes and constants of an ONNX graph. Methods add nodes and return the names of values."""

    def __init__(self, weights: Weights) -> None:
        """`weights` are the weights of the layers, by names as in `state_dict`."""
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str) -> str:
        """The weight of this name as a constant. Raises KeyError if there is none."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(self._weights[name], name)
        return name

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a weight. Raises KeyError if there is none."""
        return self._weights[name].shape

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> str:
        """A constant."""
        name = f"constant{len(self._constants)}"
        self._constants[name] = numpy_helper.from_array(np.array(value, dtype), name)
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output."""
        return self.split(kind, *inputs, outputs=1, **attributes)[0]

    def split(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """A node with several outputs."""
        names = [f"value{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def rename(self, x: str, name: str) -> None:
        """Give the value `x` a name of its own, as outputs of the graph have."""
        self._nodes.append(helper.make_node("Identity", [x], [name]))

    def conv(self, x: str, layer: str, stride: int = 1) -> str:
        """The convolution `layer`, padded so that its output has 1 / stride of the input's size."""
        kernel = self.shape(f"{layer}.weight")[-1]
        names = self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")
        padding = [(kernel - stride + 1) // 2] * 4
        return self.add("Conv", x, *names, strides=[stride] * 2, pads=padding)

    def deconv(self, x: str, layer: str, stride: int) -> str:
        """The transposed convolution `layer`, whose output has `stride` times the input's size."""
        kernel = self.shape(f"{layer}.weight")[-1]
        names = self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")
        padding = [(kernel - stride) // 2] * 4
        return self.add("ConvTranspose", x, *names, strides=[stride] * 2, pads=padding)

    def model(
        self, inputs: Mapping[str, tuple[int, Sequence[int | str]]], outputs: Sequence[str]
    ) -> bytes:
        """The graph as an ONNX file. Inputs have a type of TensorProto and a shape each."""
        graph = helper.make_graph(
            self._nodes,
            "graph",
            [helper.make_tensor_value_info(n, *described) for n, described in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            list(self._constants.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        made = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        return made.SerializeToString()
