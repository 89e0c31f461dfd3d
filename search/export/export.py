"""Export of a model for an app: both networks as Core ML packages and ONNX, tables, a manifest.

`latency_predictor.measure.coreml.convert` writes the Core ML packages, and `onnx_networks` writes
the ONNX files. The op list of each package must be equal to the closed-form op list from which the
latency of the architecture is predicted.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from latency_predictor.errors import UserError
from latency_predictor.measure.coreml import TARGET, convert, package_sha256
from latency_predictor.networks.package_ops import PackageError, PackageOps, read_package
from latency_predictor.ops import Kind, OpTable, occurrences
from latency_predictor.placement import placement
from latency_predictor.writing import whole_folder, write_whole
from search.export.checks import (
    PICTURE_DIFFERENCE,
    UNEQUAL_SYMBOLS,
    Agreement,
    Run,
    compare,
    with_half_weights,
)
from search.export.onnx_networks import OnnxNetwork, missing_packages, write_onnx
from search.export.package_run import PackageProgram
from space import arithmetic
from space.architecture import HYPER_STRIDE, LATENT_STRIDE, LEVELS, QUALITY_STEPS
from space.bitstream import tiling
from space.bitstream.model_file import Model
from space.entropy_coding import payload
from space.lowering.networks import figures_of, lower_segments
from space.lowering.programs import OUTPUTS, SEGMENTS, inputs
from space.tensor_file import write_tensors

EXPORT_FORMAT = 1
MANIFEST_FILE = "manifest.json"
TABLES_FILE = "tables.safetensors"
TABLES_KEY = "codec-search tables 2"
"""File kind and format version of the integer tables."""
PACKAGE_FILES = {network: f"{network}.mlpackage" for network in SEGMENTS}
ONNX_FILES = {network: f"{network}.onnx" for network in SEGMENTS}
WRITTEN = {MANIFEST_FILE, TABLES_FILE, *PACKAGE_FILES.values(), *ONNX_FILES.values()}
"""Names of all files that an export may contain."""

NetworkProgress = Callable[[list[str]], Iterable[str]]
"""Iterates over the given names of networks, and may display the progress."""


class ExportError(UserError):
    """An exported network has other ops than predicted, or other outputs than the model's own."""


def export(model: Model, folder: Path, progress: NetworkProgress = iter) -> dict[str, Any]:
    """Export a model to a folder; return the manifest.

    The model must be in float32 and on the CPU. The folder is written atomically and replaces an
    existing one. No ONNX files are written if packages are missing (`missing_packages`). Raises
    ExportError if a check of the exported networks fails, and OSError if a file cannot be written.
    """
    with whole_folder(folder) as work:
        with_onnx = not missing_packages()
        networks = {
            name: _write_network(model, name, work, with_onnx) for name in progress(list(SEGMENTS))
        }
        write_tensors(work / TABLES_FILE, TABLES_KEY, {"id": model.id.hex()}, _tables(model))
        manifest = {
            **_facts(model),
            "networks": networks,
            "checks": _checks(model, work, with_onnx),
            "sha256": {path.name: _sha256(path) for path in sorted(work.iterdir())},
        }
        write_whole(work / MANIFEST_FILE, (json.dumps(manifest, indent=1) + "\n").encode())
    return manifest


def predicted_ops(model: Model, network: str) -> OpTable:
    """The op list from which the latency of a model's encoder or decoder is predicted."""
    return lower_segments(SEGMENTS[network], figures_of(model.architecture))


def check_ops(network: str, found: OpTable, predicted: OpTable) -> None:
    """Raise ExportError if a network's package has other ops than predicted."""
    package, expected = occurrences(found), occurrences(predicted)
    if package != expected:
        raise ExportError(
            f"the {network}'s package has other ops than predicted: it has "
            f"{_listed(package - expected)} in place of {_listed(expected - package)}; Core ML's "
            "converter merges parts with equal weights, which an untrained model has"
        )


def _listed(ops: Counter[tuple[int, ...]]) -> str:
    """Describe ops like `2 conv of 8 to 64 channels`, at most three kinds of them."""
    shown = [
        f"{count} {Kind(kind).name.lower()} of {before} to {after} channels"
        for (kind, before, after, *_), count in sorted(ops.items())
    ]
    more = f" and {len(shown) - 3} other kinds" if len(shown) > 3 else ""
    return (", ".join(shown[:3]) or "nothing") + more


def _write_network(model: Model, name: str, folder: Path, with_onnx: bool) -> dict[str, Any]:
    """Write one network in both formats, check the ops of the package, and describe it."""
    module = {"encoder": model.encoder, "decoder": model.decoder}[name]
    shapes = inputs(model.architecture, name)
    convert(module, shapes, folder / PACKAGE_FILES[name], OUTPUTS[name])
    try:
        package = read_package(folder / PACKAGE_FILES[name])
    except PackageError as error:
        raise ExportError(str(error)) from error
    check_ops(name, package.table, predicted_ops(model, name))
    if with_onnx:
        write_onnx(module, shapes, OUTPUTS[name], folder / ONNX_FILES[name])
    # The inputs of each network are the outputs of the other.
    returned = inputs(model.architecture, "encoder" if name == "decoder" else "decoder")
    return {
        "core_ml": PACKAGE_FILES[name],
        "onnx": ONNX_FILES[name] if with_onnx else None,
        "inputs": _described(shapes),
        "outputs": _described({output: returned[output] for output in OUTPUTS[name]}),
        **_inventory(package),
    }


def _described(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Shapes and types of a network's arrays: float16 in Core ML and float32 in ONNX."""
    return {
        name: {"shape": list(shape), "core_ml": "float16", "onnx": "float32"}
        for name, shape in shapes.items()
    }


def _inventory(package: PackageOps) -> dict[str, Any]:
    """Costs and op counts of a package for one tile, and its Neural Engine placement risk."""
    table = package.table
    totals = {name: int(total[0]) for name, total in table.totals().items()}
    ops = {kind.name.lower(): int(table.count[table.kind == kind].sum()) for kind in Kind}
    return {
        **totals,
        "ops": {kind: count for kind, count in ops.items() if count},
        "core_ml_operations": dict(sorted(package.operations.items())),
        "placement": placement.load().assess(table).as_dict(),
    }


def _tables(model: Model) -> dict[str, Any]:
    """Integer tensors that the entropy coder needs, with the names they have in a model file."""
    return {
        name: tensor
        for name, tensor in model.tensors().items()
        if name.startswith(("scales.", "tables."))
    }


def _facts(model: Model) -> dict[str, Any]:
    """Constants that an app needs besides the files; see docs/reference/export.md."""
    return {
        "format": EXPORT_FORMAT,
        "model": {
            "id": model.id.hex(),
            "architecture_id": model.architecture.id,
            "architecture": asdict(model.architecture),
        },
        "core_ml": {"minimum_deployment_target": TARGET, "coremltools": version("coremltools")},
        "tile": {
            "side_px": tiling.TILE, "stride_px": tiling.STRIDE, "margin_px": tiling.MARGIN,
            "latent_stride_px": LATENT_STRIDE, "hyper_latent_stride_px": HYPER_STRIDE,
        },
        "quality": {"levels": LEVELS, "steps_per_level": QUALITY_STEPS},
        "entropy_coding": {
            "tables": payload.TABLE_COUNT, "z_max": arithmetic.Z_MAX,
            "multiplier_bits": arithmetic.MULTIPLIER_BITS,
            "fraction_bits": arithmetic.FRACTION_BITS,
            "block": payload.FLAG_BLOCK, "flag_table": payload.FLAG_TABLE,
            "flagged_table": payload.FLAGGED_TABLE,
        },
    }  # fmt: skip


def _checks(model: Model, folder: Path, with_onnx: bool) -> dict[str, Any]:
    """Compare the written files with the model. Raises ExportError if they differ too much."""
    packages = [PackageProgram(folder / PACKAGE_FILES[name]) for name in SEGMENTS]
    exact, rounded = ([partial(p, half=half) for p in packages] for half in (False, True))
    float16 = compare(model, *rounded)
    if not math.isfinite(float16.picture_difference):
        raise ExportError("in float16 the images decoded by the packages contain NaN or infinity")
    found = {"core_ml": _close(with_half_weights(model), exact, "the Core ML packages")}
    if with_onnx:
        networks = [OnnxNetwork(folder / ONNX_FILES[name]) for name in SEGMENTS]
        found["onnx"] = _close(model, networks, "the ONNX files")
    return {name: asdict(one) for name, one in {**found, "core_ml_float16": float16}.items()}


def _close(model: Model, networks: Sequence[Run], what: str) -> Agreement:
    """Compare an encoder and a decoder with a model. Raises ExportError if they differ too much."""
    agreement = compare(model, *networks)
    if not agreement.close:
        raise ExportError(
            f"{what} do not compute the same as the model: {agreement}; expected at most "
            f"{100 * UNEQUAL_SYMBOLS:g} % and {PICTURE_DIFFERENCE:g}"
        )
    return agreement


def _sha256(path: Path) -> str:
    """SHA-256 of a file, or of the files of a package and their names."""
    return package_sha256(path) if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
