"""Convert a torch module to a Core ML package: an ML program in float16 for iOS 17 and later.

The conversion runs on every system with coremltools. Only running a package needs an Apple device.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from coremltools.models import MLModel

TARGET = "iOS17"
"""Deployment target: the first system that accepts float16 inputs and outputs of every rank on all
compute units."""


def convert(
    module: nn.Module,
    inputs: Mapping[str, Sequence[int]],
    path: Path,
    outputs: Sequence[str] | None = None,
) -> MLModel:
    """Convert `module`, which must be in inference form, and write it as the package `path`.

    An existing package is replaced. `inputs` gives the names and shapes of the arguments of
    `forward`, in order. `outputs` names the results of `forward` (default: output_0, output_1 and
    so on). Inputs and outputs are float16 arrays, because float32 arrays would need a cast each.
    Weights and arithmetic are float16. The returned model is not compiled.
    """
    coremltools = quiet_coremltools()
    program = _exported(module, inputs)
    half = np.float16
    returned = len(program.graph_signature.user_outputs)
    names = outputs or [f"output_{number}" for number in range(returned)]
    with silence():
        model = coremltools.convert(
            program,
            convert_to="mlprogram",
            compute_precision=coremltools.precision.FLOAT16,
            minimum_deployment_target=coremltools.target[TARGET],
            inputs=[
                coremltools.TensorType(name=name, shape=tuple(shape), dtype=half)
                for name, shape in inputs.items()
            ],
            outputs=[coremltools.TensorType(name=name, dtype=half) for name in names],
            skip_model_load=True,
        )
        shutil.rmtree(path, ignore_errors=True)
        model.save(str(path))
    return model


def package_sha256(path: Path) -> str:
    """SHA-256 of the contents and names of a package's files."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def quiet_coremltools() -> ModuleType:
    """Import `coremltools` without its messages about the host, and return it.

    The import is slow, so modules call this function only when they need the package.
    """
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    with silence():
        import coremltools
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    return coremltools


def _exported(
    module: nn.Module, inputs: Mapping[str, Sequence[int]]
) -> torch.export.ExportedProgram:
    shuffle = torch.ops.aten.channel_shuffle.default
    known = torch.export.default_decompositions()
    examples = tuple(torch.zeros(tuple(shape)) for shape in inputs.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, examples)
        # The only operator in our networks that coremltools cannot convert.
        return program.run_decompositions({shuffle: known[shuffle]})


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Suppress progress bars and warnings. Errors are still raised."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
