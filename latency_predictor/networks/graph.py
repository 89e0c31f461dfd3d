"""Record a stored graph, whose operators are more detailed than those of torch at run time.

A stored graph spells out some activations as several operators, and each transpose as one. Both are
recorded as in the traces of torch modules on which the predictor is calibrated: `x * sigmoid(x)` is
one activation, and a transpose costs nothing until a reshape or a batched product needs the
transposed values in order, which copies them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from latency_predictor.networks.recorder import Recorder, TensorShape, Value
from latency_predictor.ops import Kind


class GraphRecorder(Recorder):
    """A recorder that knows the values of a graph by name.

    `values` holds the values that depend on the network's input.
    """

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, Value] = {}

    def computed(self, operator: str, live: Sequence[Value], shape: TensorShape) -> Value:
        """A pointwise op, fused as well if all operands are pointwise functions of one value."""
        if len({value.root for value in live}) == 1 and live[0].shape == shape:
            fused = [value for value in live if value.kind is not None] or live
            return self.pointwise(operator, fused[:1], shape)
        return self.pointwise(operator, live, shape)

    def transposed(
        self, operator: str, live: Value, shape: TensorShape, order: Sequence[int]
    ) -> Value:
        """A transpose, in which dimension i of the result is dimension `order[i]` of `live`."""
        long = [side for side in order if live.shape[side] > 1]
        moved = live.copied_by if long == sorted(long) else operator
        return replace(self.view(live, shape), copied_by=moved)

    def reshaped(self, live: Value, shape: TensorShape) -> Value:
        """A reshape. It copies a transposed value, unless it only splits sides."""
        if live.copied_by and not _splits(live.shape, shape):
            live = self.plain(live.copied_by, Kind.MOVE, [live], live.shape)
        return self.view(live, shape)

    def averaged(
        self, operator: str, live: Value, shape: TensorShape, axes: Sequence[int]
    ) -> Value:
        """A mean over `axes`: pooling if they are the height and width of an image."""
        spatial = len(live.shape) == 4 and {axis % 4 for axis in axes} == {2, 3}
        return self.plain(operator, Kind.POOL if spatial else Kind.NORM, [live], shape)

    def multiplied(
        self,
        operator: str,
        operands: Sequence[str],
        matrix: TensorShape,
        shape: TensorShape,
        transposed: bool = False,
    ) -> Value:
        """A product of `operands`, of which one or both depend on the input.

        `matrix` is the shape of the second operand, and `transposed` says whether its last two
        sides are exchanged.
        """
        live = [self.values[name] for name in operands if name in self.values]
        depth = matrix[-1] if transposed or len(matrix) == 1 else matrix[-2]
        if len(live) == 2:
            return self.product(operator, [self._in_order(one) for one in live], shape, depth)
        if operands[0] not in self.values:  # constant rows times live columns
            return self.linear(operator, live[0], shape, depth, shape[-2])
        groups = 1
        for side in matrix[:-2]:
            groups *= side
        return self.linear(operator, live[0], shape, depth, shape[-1], groups)

    def _in_order(self, live: Value) -> Value:
        """An operand of a batched product. A transposed one is copied to join its batch sides."""
        if live.copied_by and len(_long(live.shape[:-2])) > 1:
            return self.plain(live.copied_by, Kind.MOVE, [live], live.shape)
        return live

    def attention(
        self, operator: str, query: Value, key: Value, value: Value, shape: TensorShape
    ) -> Value:
        """Scaled dot-product attention: two products and a softmax."""
        scores = (*query.shape[:-1], key.shape[-2])
        weights = self.product(operator, [query, key], scores, query.shape[-1])
        weights = self.plain(operator, Kind.NORM, [weights], scores)
        return self.product(operator, [weights, value], shape, scores[-1])


def summed_over(equation: str, shapes: Sequence[TensorShape]) -> int:
    """Number of pairs that an einsum of two operands sums for each output, such as `ij,jk->ik`."""
    operands, _, result = equation.replace(" ", "").partition("->")
    sides: Mapping[str, int] = {
        label: side
        for labels, shape in zip(operands.split(","), shapes, strict=True)
        for label, side in zip(labels, shape, strict=True)
    }
    depth = 1
    for label, side in sides.items():
        depth *= 1 if label in result else side
    return depth


def _long(shape: TensorShape) -> list[int]:
    return [side for side in shape if side > 1]


def _splits(shape: TensorShape, parts: TensorShape) -> bool:
    """Whether each side of `shape` is the product of consecutive sides of `parts`."""
    left = _long(parts)
    for side in _long(shape):
        product = 1
        while product < side and left:
            product *= left.pop(0)
        if product != side:
            return False
    return not left
