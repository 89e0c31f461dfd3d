"""The command `export`: a trained model as an app ships it.

Errors that a user can mend end in one line on standard error and exit code 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from search.commands import INTERRUPTED

CHECKS = {
    "core_ml": "Core ML programs, run in torch",
    "onnx": "ONNX Runtime",
    "core_ml_float16": "Core ML programs, rounding to float16",
}
"""What the summary calls the checks of a manifest."""


def export(words: list[str]) -> int:
    """`export MODEL [--out DIR]`: write Core ML packages, ONNX, tables and a manifest."""
    parser = argparse.ArgumentParser(
        "python -m search export",
        description="Write a model as Core ML packages and ONNX, with its integer tables and a "
        "manifest.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="what `train` or `promote` wrote")
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="folder to write; an older export is replaced (NAME-export beside a model "
        "NAME.safetensors, or export in the folder)",
    )  # fmt: skip
    arguments = parser.parse_args(words)

    from search.export import ExportError
    from space.model import ModelError

    try:
        print(_export(arguments.model, arguments.out))
    except (ExportError, ModelError, OSError) as error:
        print(*(line.strip() for line in str(error).splitlines()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _export(given: Path, out: Path | None) -> str:
    from search.codec_commands import shown
    from search.export import ExportError, export
    from search.onnx_networks import missing
    from space.model import Model

    folder = out or (
        given / "export" if given.is_dir() else given.with_name(given.stem + "-export")
    )
    model = Model.load(given)
    _check_place(folder)
    if lacking := missing():
        print(
            f"ONNX is left out, for {', '.join(lacking)} is not installed: "
            "pip install 'codec-search[export]'",
            file=sys.stderr,
        )
    try:
        manifest = export(model, folder, lambda names: shown(names, "Exporting"))
    except ExportError as error:
        raise ExportError(f"{given}: {error}") from error
    return f"{folder}: {_summary(manifest)}"


def _summary(manifest: dict[str, Any]) -> str:
    """Model, costs of both networks, and what was checked."""
    from search.export_checks import Agreement

    area = manifest["tile"]["side_px"] ** 2
    networks = " and ".join(
        f"{name} of {network['macs'] / area / 1e3:.1f} kMAC/px in {sum(network['ops'].values())} "
        "ops as predicted"
        for name, network in manifest["networks"].items()
    )
    checks = [
        f"  {CHECKS[name]}: {Agreement(**found)}" for name, found in manifest["checks"].items()
    ]
    return "\n".join([f"model {manifest['model']['id']}, {networks}", *checks])


def _check_place(folder: Path) -> None:
    """Raise OSError where no export can or should be written, before any work is spent."""
    from search.export import WRITTEN

    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: is a file; give the name of a folder to write")
    # A Mac leaves .DS_Store wherever a folder was looked at.
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if others := {name for name in held - WRITTEN if not name.startswith(".")}:
        raise FileExistsError(
            f"{folder}: holds {min(others)}, which no export wrote, and will not be replaced; give "
            "a new folder or an older export"
        )
    if not folder.parent.is_dir():
        raise NotADirectoryError(f"{folder}: cannot be written; there is no folder {folder.parent}")
    if not os.access(folder.parent, os.W_OK):
        raise PermissionError(f"{folder}: cannot be written; folder {folder.parent} is read-only")
