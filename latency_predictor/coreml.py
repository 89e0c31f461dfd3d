"""Any torch module as a Core ML package: an ML program in float16, for iOS 17 and later.

Works wherever coremltools installs; only running a package needs an Apple device.
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
"""The first that takes float16 inputs and outputs of every rank on all units."""


def convert(
    module: nn.Module,
    inputs: Mapping[str, Sequence[int]],
    path: Path,
    outputs: Sequence[str] | None = None,
) -> MLModel:
    """Write `module`, in inference form, to the package `path`, which is replaced.

    `inputs` gives the shapes of what `forward` takes, by name and in order; `outputs` names what it
    returns (default: output_0, output_1 and so on). Both are float16 arrays: float32 ones would
    cost a cast each. Weights and arithmetic are float16. The model that is returned has been
    compiled nowhere.
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
    """Hash of a package's files and their names."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def quiet_coremltools() -> ModuleType:
    """The module `coremltools`, imported late for it is slow, without what it says of its host."""
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
        # The one operator of ours that coremltools has no conversion for.
        return program.run_decompositions({shuffle: known[shuffle]})


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Swallow progress bars and warnings; errors are raised and so not lost."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
