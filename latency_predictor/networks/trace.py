"""Lower any torch module to an op list by running it on meta tensors, which computes nothing.

The lowering follows the fusions of Core ML: a convolution or linear layer includes its bias, its
normalisation, constant scales and the activation that follows. Views cost nothing. In one respect
the lowering is simpler than Core ML: an activation is fused even if its input is also used
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from latency_predictor.ops import Kind, OpTable, one_program

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
_ABSORBING = {kind for kind in Kind if kind != Kind.MOVE}


def trace(module: nn.Module, *input_shapes: Sequence[int]) -> OpTable:
    """Op list of `module`, which must be in inference form, for one input of each given shape.

    The module stays unchanged: meta tensors replace its weights during the run.
    """
    tracer = _Tracer()
    examples = tuple(torch.empty(tuple(shape), device="meta") for shape in input_shapes)
    tracer.producer.update(dict.fromkeys(examples))
    state = {
        name: value.to("meta")
        for name, value in (*module.named_parameters(), *module.named_buffers())
    }
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), tracer:
        torch.func.functional_call(module, state, examples)
    return one_program(tracer.rows)


class _Tracer(TorchDispatchMode):
    """Records one row per fused op.

    `producer` maps each live value to the kind that computed it. It does not contain values that do
    not depend on the input, such as weights and position tables.
    """

    def __init__(self) -> None:
        super().__init__()
        self.producer = WeakTensorKeyDictionary()
        self.rows: list[dict[str, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        live = [x for x in inputs if x in self.producer]
        outputs = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        if live and outputs:
            kind = self._record(func, args, live, outputs)
            for value in outputs:
                self.producer[value] = kind
        return out

    def _record(
        self, func: Any, args: Any, live: list[Tensor], outputs: list[Tensor]
    ) -> Kind | None:
        """Append a row if `func` is an op, and return the kind that computes its outputs."""
        before: Kind | None = self.producer[live[0]]
        packet, out = func.overloadpacket, outputs[0]
        if func.is_view or packet in _FREE:
            return before
        if packet is aten.clone:
            return self._plain(Kind.MOVE, live, out)
        if packet is aten.convolution:
            return self._convolution(args, out)
        if packet in _PRODUCTS:
            return self._product(args[-2:], out)
        if packet is aten.native_batch_norm and args[5]:  # an instance normalisation
            return self._plain(Kind.NORM, live, out)
        if _is_pointwise(func):
            if len(live) == 1 and before in _ABSORBING:
                return before
            return self._plain(Kind.ELEMENTWISE, live, out)
        if packet in _POOLS:
            return self._plain(Kind.POOL, live, out, kernel=_window(packet, args))
        if packet is aten.mean:
            spatial = live[0].dim() == 4 and {d % 4 for d in args[1]} == {2, 3}
            return self._plain(Kind.POOL if spatial else Kind.NORM, live, out)
        if packet in _NORMS:
            return self._plain(Kind.NORM, live, out)
        return self._plain(Kind.RESIZE if packet in _RESIZES else Kind.MOVE, live, out)

    def _plain(self, kind: Kind, live: list[Tensor], out: Tensor, kernel: int = 1) -> Kind:
        channels = _channels(live[0])
        return self._append(
            kind,
            in_channels=channels,
            in_px=sum(x.numel() for x in live) // channels,
            out_channels=_channels(out),
            out_px=out.numel() // max(_channels(out), 1),
            kernel=kernel,
        )

    def _convolution(self, args: Any, out: Tensor) -> Kind:
        x, weight, stride, transposed, groups = args[0], args[1], args[3], args[6], args[8]
        return self._append(
            Kind.TRANSPOSED_CONV if transposed else Kind.CONV,
            in_channels=x.shape[1],
            in_px=x.numel() // x.shape[1],
            out_channels=out.shape[1],
            out_px=out.numel() // out.shape[1],
            kernel=prod(weight.shape[2:]),
            stride=max(stride),
            groups=groups,
        )

    def _product(self, operands: Sequence[Tensor], out: Tensor) -> Kind:
        """Append a linear layer for a product with a constant, a MATMUL for two live values."""
        left, right = operands
        depth, width = left.shape[-1], out.shape[-1]
        if left in self.producer and right in self.producer:
            return self._append(
                Kind.MATMUL,
                in_channels=depth,
                in_px=left.numel() // depth + right.numel() // depth,
                out_channels=width,
                out_px=out.numel() // width,
            )
        if right in self.producer:
            width, rows = left.shape[-2], right.shape[-1]
        else:
            rows = left.shape[-2]
        groups = left.shape[0] if left.dim() == 3 else 1
        return self._append(
            Kind.CONV,
            in_channels=depth * groups,
            in_px=rows,
            out_channels=width * groups,
            out_px=rows,
            groups=groups,
        )

    def _append(
        self,
        kind: Kind,
        in_channels: int,
        in_px: int,
        out_channels: int,
        out_px: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> Kind:
        self.rows.append(
            {
                "kind": int(kind),
                "count": 1,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "kernel": kernel,
                "stride": stride,
                "groups": groups,
                "in_px": in_px,
                "out_px": out_px,
            }
        )
        return kind


def _is_pointwise(func: Any) -> bool:
    packet = func.overloadpacket
    return (
        torch.Tag.pointwise in func.tags or packet in _BATCH_NORMS or packet in _UNTAGGED_POINTWISE
    )


def _channels(x: Tensor) -> int:
    """Channels come second in images and last in token sequences."""
    return x.shape[1] if x.dim() == 4 else x.shape[-1] if x.dim() else 1


def _window(packet: Callable[..., Any], args: Any) -> int:
    """Taps of a pooling window. An adaptive pool divides the input evenly among its outputs."""
    if packet in (aten.max_pool2d_with_indices, aten.avg_pool2d):
        return prod(args[1]) if len(args[1]) == 2 else args[1][0] ** 2
    return prod(-(-i // o) for i, o in zip(args[0].shape[-2:], args[1], strict=True))
