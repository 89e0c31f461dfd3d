"""The command `export`, which writes a trained model in the formats that an app needs.

Errors that a user can fix end in one line on standard error and exit code 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from latency_predictor.errors import UserError
from search.cli.commands import INTERRUPTED

CHECKS = {
    "core_ml": "Core ML programs, run in torch",
    "onnx": "ONNX Runtime",
    "core_ml_float16": "Core ML programs, rounding to float16",
}
"""Names in the summary for the checks of a manifest."""


def export(words: list[str]) -> int:
    """`export MODEL [--out DIR]`: write Core ML packages, ONNX, tables and a manifest."""
    parser = argparse.ArgumentParser(
        "python -m search export",
        description="Write a model as Core ML packages and ONNX, with its integer tables and a "
        "manifest.",
    )
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="model written by `train` or `promote`"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="folder to write; an older export is replaced (default: NAME-export next to a model "
        "file NAME.safetensors, or export inside a model's folder)",
    )  # fmt: skip
    arguments = parser.parse_args(words)

    try:
        print(_export(arguments.model, arguments.out))
    except (OSError, UserError) as error:
        print(*(line.strip() for line in str(error).splitlines()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _export(path: Path, out: Path | None) -> str:
    from search.cli.codec import shown
    from search.export.export import ExportError, export
    from search.export.onnx_networks import missing
    from space.bitstream.model_file import Model

    folder = out or (path / "export" if path.is_dir() else path.with_name(path.stem + "-export"))
    model = Model.load(path)
    _check_place(folder)
    if lacking := missing():
        print(
            f"No ONNX files are written; packages not installed: {', '.join(lacking)}. "
            "Install them with pip install 'codec-search[export]'.",
            file=sys.stderr,
        )
    try:
        manifest = export(model, folder, lambda names: shown(names, "Exporting"))
    except ExportError as error:
        raise ExportError(f"{path}: {error}") from error
    return f"{folder}: {_summary(manifest)}"


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


def _check_place(folder: Path) -> None:
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
    if not folder.parent.is_dir():
        raise NotADirectoryError(f"{folder}: cannot be written; there is no folder {folder.parent}")
    if not os.access(folder.parent, os.W_OK):
        raise PermissionError(f"{folder}: cannot be written; folder {folder.parent} is read-only")
