"""Run the program of a saved Core ML package in torch, where Core ML is not available.

The outputs show whether the package, with its constants, is equivalent to the network that it was
converted from. They can also show the effect of float16. In this case arithmetic is in float32, and
every value is rounded to float16, as Core ML stores values. The precision and order of a device's
sums are not modelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from latency_predictor.measure.coreml import quiet_coremltools

Arguments = dict[str, Any]
"""Arguments of an operation by name: computed values and float constants as tensors, other
constants as they are stored."""


class PackageProgram:
    """The program of a package, ready to run."""

    def __init__(self, path: Path) -> None:
        """Read a package that `coreml.convert` wrote."""
        specification = quiet_coremltools().utils.load_spec(str(path))
        from coremltools.converters.mil.frontend.milproto.load import load

        program = load(
            specification,
            specification_version=specification.specificationVersion,
            file_weights_dir=str(path / "Data" / "com.apple.CoreML" / "weights"),
        )
        self._function = program.functions["main"]
        operations = self._function.operations
        self._operations = [op for op in operations if op.op_type != "const"]

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, Tensor], *, half: bool) -> dict[str, Tensor]:
        """Compute the float32 outputs by name; with `half`, all values are rounded to float16."""
        values = {name: _stored(value.float(), half) for name, value in inputs.items()}
        outputs = [output.name for output in self._function.outputs]
        uses = Counter(
            [*outputs, *(v.name for op in self._operations for v in op.get_flattened_inputs())]
        )
        for operation in self._operations:
            arguments = {name: _value(v, values) for name, v in operation.inputs.items()}
            found = _OPERATIONS[operation.op_type](arguments)
            returned = found if isinstance(found, tuple) else (found,)
            for output, value in zip(operation.outputs, returned, strict=True):
                values[output.name] = _stored(value, half)
            for used in operation.get_flattened_inputs():
                uses[used.name] -= 1
                if not uses[used.name]:
                    values.pop(used.name, None)
        return {name: values[name] for name in outputs}


def _stored(value: Tensor, half: bool) -> Tensor:
    return value.half().float() if half else value


def _value(argument: Any, values: Mapping[str, Tensor]) -> Any:
    """Value of an argument: a computed value, or a constant, with floats converted to float32."""
    if isinstance(argument, list | tuple):
        return [_value(one, values) for one in argument]
    if argument.name in values:
        return values[argument.name]
    constant = argument.val
    floating = getattr(constant, "dtype", None) is not None and constant.dtype.kind == "f"
    return torch.tensor(constant).float() if floating else constant


def _convolution(a: Arguments) -> Tensor:
    top, bottom, left, right = a["pad"].tolist() if a["pad_type"] == "custom" else (0, 0, 0, 0)
    x = F.pad(a["x"], (left, right, top, bottom))
    strides, groups = a["strides"].tolist(), int(a["groups"])
    return F.conv2d(x, a["weight"], a["bias"], strides, groups=groups)


def _transposed_convolution(a: Arguments) -> Tensor:
    strides, groups = a["strides"].tolist(), int(a["groups"])
    whole = F.conv_transpose2d(a["x"], a["weight"], a["bias"], strides, groups=groups)
    top, _, left, _ = a["pad"].tolist() if a["pad_type"] == "custom" else (0, 0, 0, 0)
    height, width = a["output_shape"].tolist()[2:]
    return whole[..., top : top + height, left : left + width]


def _slice(a: Arguments) -> Tensor:
    masked = a.get("end_mask")
    ends = [
        None if masked is not None and masked[axis] else int(end)
        for axis, end in enumerate(a["end"])
    ]
    bounds = zip(a["begin"].tolist(), ends, a["stride"].tolist(), strict=True)
    return a["x"][tuple(slice(*bound) for bound in bounds)]


def _concatenation(a: Arguments) -> Tensor:
    if a["interleave"]:
        return torch.stack(a["values"], dim=a["axis"] + 1).flatten(a["axis"], a["axis"] + 1)
    return torch.cat(a["values"], dim=int(a["axis"]))


def _expanded(a: Arguments) -> Tensor:
    x = a["x"]
    for axis in sorted(a["axes"].tolist()):
        x = x.unsqueeze(axis)
    return x


_OPERATIONS: dict[str, Callable[[Arguments], Tensor | tuple[Tensor, ...]]] = {
    "conv": _convolution,
    "conv_transpose": _transposed_convolution,
    "linear": lambda a: F.linear(a["x"], a["weight"], a["bias"]),
    "relu": lambda a: torch.relu(a["x"]),
    "leaky_relu": lambda a: F.leaky_relu(a["x"], float(a["alpha"])),
    "gelu": lambda a: F.gelu(a["x"]),
    "silu": lambda a: F.silu(a["x"]),
    "tanh": lambda a: torch.tanh(a["x"]),
    "exp": lambda a: torch.exp(a["x"]),
    "abs": lambda a: torch.abs(a["x"]),
    "round": lambda a: torch.round(a["x"]),
    "add": lambda a: a["x"] + a["y"],
    "sub": lambda a: a["x"] - a["y"],
    "mul": lambda a: a["x"] * a["y"],
    "real_div": lambda a: a["x"] / a["y"],
    "split": lambda a: torch.split(a["x"], a["split_sizes"].tolist(), dim=int(a["axis"])),
    "slice_by_index": _slice,
    "concat": _concatenation,
    "pixel_shuffle": lambda a: F.pixel_shuffle(a["x"], int(a["upscale_factor"])),
    "expand_dims": _expanded,
}
