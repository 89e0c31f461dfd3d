"""Write networks as float32 ONNX files, and run the files with ONNX Runtime.

The packages that this needs are an extra of this project: `pip install 'codec-search[export]'`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from latency_predictor.measure.coreml import silence

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def missing_packages() -> list[str]:
    """Names of packages that ONNX needs and that are not installed."""
    return [name for name in ONNX_PACKAGES if find_spec(name) is None]


def write_onnx(
    network: nn.Module, inputs: Mapping[str, Sequence[int]], outputs: Sequence[str], path: Path
) -> None:
    """Write a network in inference form as one ONNX file with fixed shapes."""
    examples = tuple(torch.zeros(tuple(shape)) for shape in inputs.values())
    with silence():
        program = torch.onnx.export(
            network, examples, dynamo=True, verbose=False,
            input_names=list(inputs), output_names=list(outputs),
        )  # fmt: skip
        assert program is not None
        for node in program.model.graph:
            # Metadata contains stack traces with local paths.
            node.metadata_props.clear()
        program.save(path, external_data=False)


class OnnxNetwork:
    """An ONNX file, ready to run: maps inputs by name to outputs by name."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        names = [output.name for output in self._session.get_outputs()]
        arrays = {name: value.numpy() for name, value in inputs.items()}
        found = self._session.run(names, arrays)
        return {name: torch.from_numpy(x) for name, x in zip(names, found, strict=True)}
