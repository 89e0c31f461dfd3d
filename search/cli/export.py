"""The command `export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from latency_predictor.cli.places import check_parent
from latency_predictor.cli.progress import shown
from latency_predictor.cli.values import path
from latency_predictor.printable import printable

CHECKS = {
    "core_ml": "Core ML programs, run in torch",
    "onnx": "ONNX Runtime",
    "core_ml_float16": "Core ML programs, rounding to float16",
}
"""Names of a manifest's checks in the summary."""


def export(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", parser=path, help="Model written by train or promote."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=path,
            show_default="NAME-export next to a file NAME.safetensors, or export in a folder",
            help="Folder to write; an older export is replaced.",
        ),
    ] = None,
) -> None:
    """Write a model in the formats that an app needs.

    These are Core ML packages and ONNX, the integer tables and a manifest.
    """
    from search.export.export import ExportError
    from search.export.export import export as write
    from search.export.onnx_networks import missing_packages
    from space.bitstream.model_file import Model

    beside = model / "export" if model.is_dir() else model.with_name(model.stem + "-export")
    folder = out or beside
    trained = Model.load(model)
    _check_folder(folder)
    if lacking := missing_packages():
        print(
            f"No ONNX files are written; packages not installed: {', '.join(lacking)}. "
            "Install them with pip install 'codec-search[export]'.",
            file=sys.stderr,
        )
    try:
        manifest = write(trained, folder, lambda names: shown(names, "Exporting"))
    except ExportError as error:
        raise ExportError(f"{model}: {error}") from error
    print(f"{printable(folder)}: {_summary(manifest)}")


def _summary(manifest: dict[str, Any]) -> str:
    """Summary of the model, the costs of both networks, and the checks."""
    from search.export.checks import Agreement

    area = manifest["tile"]["side_px"] ** 2
    networks = " and ".join(
        f"{name} with {network['macs'] / area / 1e3:.1f} kMAC/px in "
        f"{sum(network['ops'].values())} ops as predicted"
        for name, network in manifest["networks"].items()
    )
    checks = [
        f"  {CHECKS[name]}: {Agreement(**found)}" for name, found in manifest["checks"].items()
    ]
    return "\n".join([f"model {manifest['model']['id']}, {networks}", *checks])


def _check_folder(folder: Path) -> None:
    """Raise OSError if the folder cannot be written or contains other files than an export's."""
    from search.export.export import WRITTEN

    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: is a file; expected the name of a folder to write")
    # macOS creates .DS_Store in every folder that was opened.
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if others := {name for name in held - WRITTEN if not name.startswith(".")}:
        raise FileExistsError(
            f"{folder}: contains {min(others)}, which no export wrote, and will not be replaced; "
            "expected a new folder or an older export"
        )
    check_parent(folder)
