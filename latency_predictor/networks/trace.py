"""Lower any torch module to an op list by running it on meta tensors, which computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.module_tracker import ModuleTracker
from torch.utils.weak import WeakTensorKeyDictionary

from latency_predictor.networks.recorder import NetworkOps, Recorder, Value
from latency_predictor.ops import Kind, OpTable

aten = torch.ops.aten

_BATCH_NORMS = {aten.native_batch_norm, aten._native_batch_norm_legit_no_training}
_NORMS = {
    aten.native_layer_norm,
    aten.native_group_norm,
    aten._softmax,
    aten._safe_softmax,
    aten._log_softmax,
    aten.var,
    aten.var_mean,
    aten.sum,
    aten.amax,
    aten.linalg_vector_norm,
    aten.cumsum,
    aten.topk,
}
_POOLS = {
    aten.max_pool2d_with_indices,
    aten.avg_pool2d,
    aten._adaptive_avg_pool2d,
    aten.adaptive_max_pool2d,
}
_RESIZES = {
    aten.upsample_nearest2d,
    aten._upsample_nearest_exact2d,
    aten.upsample_bilinear2d,
    aten.upsample_bicubic2d,
    aten._upsample_bilinear2d_aa,
    aten._upsample_bicubic2d_aa,
    aten.grid_sampler_2d,
}
_PRODUCTS = {aten.mm, aten.bmm, aten.addmm, aten.baddbmm}
_UNTAGGED_POINTWISE = {aten.hardswish, aten.hardswish_, aten._prelu_kernel}
_FREE = {aten._unsafe_view, aten._to_copy, aten.as_strided_, aten.lift_fresh, aten.native_dropout}
_FACTORIES = {
    aten.new_zeros,
    aten.new_ones,
    aten.new_full,
    aten.new_empty,
    aten.zeros_like,
    aten.ones_like,
    aten.full_like,
    aten.empty_like,
}
"""Operators whose results have the type of their operand, but do not depend on its values."""
_MOVES = {
    aten.clone,
    aten.cat,
    aten.stack,
    aten.constant_pad_nd,
    aten.reflection_pad2d,
    aten.replication_pad2d,
    aten.pixel_shuffle,
    aten.pixel_unshuffle,
    aten.channel_shuffle,
    aten.native_channel_shuffle,
    aten.roll,
    aten.flip,
    aten.repeat,
    aten.copy_,
    aten.slice_scatter,
    aten.select_scatter,
    aten.index,
    aten.index_select,
    aten.gather,
    aten.embedding,
    aten.im2col,
    aten.col2im,
}


def trace(module: nn.Module, *input_shapes: Sequence[int]) -> OpTable:
    """Op list of `module`, which must be in inference form, for one input of each given shape.

    The module stays unchanged: meta tensors replace its weights during the run.
    """
    return trace_network(module, *input_shapes).table


def trace_network(module: nn.Module, *input_shapes: Sequence[int]) -> NetworkOps:
    """The ops of `module` as in `trace`, with the layer and the operator that each comes from."""
    tracer = _Tracer()
    examples = tuple(torch.empty(tuple(shape), device="meta") for shape in input_shapes)
    for example in examples:
        tracer.values[example] = tracer.recorder.input(tuple(example.shape))
    state = {
        name: value.to("meta")
        for name, value in (*module.named_parameters(), *module.named_buffers())
    }
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), tracer.modules, tracer:
        torch.func.functional_call(module, state, examples)
    return tracer.recorder.network()


class _Tracer(TorchDispatchMode):
    """Runs operators and records those that depend on the input.

    `values` does not contain tensors that do not depend on the input, such as weights and position
    tables.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recorder = Recorder()
        self.modules = ModuleTracker()
        self.values = WeakTensorKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        live = [_live(self.values, x) for x in inputs if x in self.values]
        outputs = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        if live and outputs and func.overloadpacket not in _FACTORIES:
            self.recorder.layer = self._layer()
            value = self._record(func, args, live, outputs[0])
            for output in outputs:
                self.values[output] = replace(value, shape=tuple(output.shape))
        return out

    def _layer(self) -> str:
        """Dotted name of the innermost module that is running."""
        names = self.modules.parents - {"Global"}
        return max(names, key=len, default="").partition(".")[2]

    def _record(self, func: Any, args: Any, live: list[Value], out: Tensor) -> Value:
        """Record `func` if it is an op, and return the value that it computes."""
        packet, shape, record = func.overloadpacket, tuple(out.shape), self.recorder
        name = packet.__name__
        if func.is_view or packet in _FREE:
            return record.view(live[0], shape)
        if packet is aten.convolution:
            stride, dilation, transposed, groups = args[3], args[5], args[6], args[8]
            return record.convolution(
                name,
                live[0],
                shape,
                prod(args[1].shape[2:]),
                transposed=transposed,
                stride=max(stride),
                groups=groups,
                dilation=max(dilation),
            )
        if packet in _PRODUCTS:
            return self._product(name, args[-2:], shape)
        if packet is aten.native_batch_norm and args[5]:  # an instance normalisation
            return record.plain(name, Kind.NORM, live, shape)
        if packet not in _MOVES and _is_pointwise(func):
            return record.pointwise(name, live, shape)
        if packet in _POOLS:
            return record.plain(name, Kind.POOL, live, shape, _window(packet, args))
        if packet is aten.mean:
            spatial = len(live[0].shape) == 4 and {d % 4 for d in args[1]} == {2, 3}
            return record.plain(name, Kind.POOL if spatial else Kind.NORM, live, shape)
        if packet in _NORMS:
            return record.plain(name, Kind.NORM, live, shape)
        kind = Kind.RESIZE if packet in _RESIZES else Kind.MOVE
        known = packet in _RESIZES | _MOVES
        return record.plain(name, kind, live, shape, known=known)

    def _product(self, name: str, operands: Sequence[Tensor], shape: tuple[int, ...]) -> Value:
        """Record a linear layer for a product with a constant, a MATMUL for two live values."""
        left, right = operands
        depth = left.shape[-1]
        live = [_live(self.values, x) for x in operands if x in self.values]
        if len(live) == 2:
            return self.recorder.product(name, live, shape, depth)
        width = left.shape[-2] if right in self.values else shape[-1]
        groups = left.shape[0] if left.dim() == 3 else 1
        return self.recorder.linear(name, live[0], shape, depth, width, groups)


def _live(values: WeakTensorKeyDictionary, x: Tensor) -> Value:
    value: Value = values[x]
    return value


def _is_pointwise(func: Any) -> bool:
    packet = func.overloadpacket
    return (
        torch.Tag.pointwise in func.tags or packet in _BATCH_NORMS or packet in _UNTAGGED_POINTWISE
    )


def _window(packet: Callable[..., Any], args: Any) -> int:
    """Taps of a pooling window. An adaptive pool divides the input evenly among its outputs."""
    if packet in (aten.max_pool2d_with_indices, aten.avg_pool2d):
        return prod(args[1]) if len(args[1]) == 2 else args[1][0] ** 2
    return prod(-(-i // o) for i, o in zip(args[0].shape[-2:], args[1], strict=True))
