"""Open a model as a user names it: a file, or a network of a public library by name.

Nothing that could execute code is loaded: files of pickled modules are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from latency_predictor.errors import UserError
from latency_predictor.networks.recorder import NetworkOps, TensorShape
from latency_predictor.printable import printable

ORIGINS = ("timm", "torchvision", "published")
"""Words before the colon of a network's name."""
ACCEPTED = "a .mlpackage, .mlmodel or .onnx file, timm:NAME, torchvision:NAME or published:NAME"
_PICKLED = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"}


def read_model(model: str, shapes: Sequence[TensorShape] = ()) -> NetworkOps:
    """The ops of a model, which is one of `ACCEPTED`.

    `shapes` are the shapes of its inputs, in order. They may be left out for files that state them.
    A network by name has one input, of the size for which it was published if no shape is given.
    Raises UserError, and OSError for a file that cannot be read.
    """
    origin, _, name = model.partition(":")
    if origin in ORIGINS and name:
        return _by_name(model, shapes)
    path = Path(model).expanduser()
    suffix = path.suffix.lower()
    if suffix in _PICKLED:
        raise UserError(
            f"'{printable(model)}' may hold pickled code, which is not run; export the network to "
            "ONNX or to Core ML"
        )
    if suffix == ".mlmodelc":
        raise UserError(
            f"'{printable(model)}' is compiled, and only Apple's software reads it; expected the "
            ".mlpackage or .mlmodel from which it was compiled"
        )
    if suffix not in (".mlpackage", ".mlmodel", ".onnx"):
        raise UserError(f"'{printable(model)}' is no model; expected {ACCEPTED}{_hint(model)}")
    if not path.exists():
        raise FileNotFoundError(f"'{printable(model)}': no such file; expected {ACCEPTED}")
    if suffix == ".onnx":
        from latency_predictor.networks.onnx_ops import read_onnx

        return read_onnx(path, shapes)
    from latency_predictor.networks.program_ops import read_program

    return read_program(path, shapes)


def _by_name(model: str, shapes: Sequence[TensorShape]) -> NetworkOps:
    from latency_predictor.networks.names import NetworkSpec, input_channels, network_ops, own_size

    if len(shapes) > 1:
        raise UserError(f"'{printable(model)}': has one input, but {len(shapes)} shapes were given")
    name = model.removeprefix("timm:")
    shape = shapes[0] if shapes else (1, input_channels(name), *own_size(name))
    if len(shape) != 4:
        raise UserError(
            f"'{printable(model)}': takes images, such as --input 1x3x224x224, and not "
            + "x".join(map(str, shape))
        )
    return network_ops(NetworkSpec(name, *shape[2:]), shape)


def _hint(model: str) -> str:
    """The network of timm or torchvision that has this name without its origin, if there is one."""
    import timm
    from torchvision import models

    if timm.is_model(model):
        return f"; did you mean timm:{model}?"
    return f"; did you mean torchvision:{model}?" if model in models.list_models() else ""
