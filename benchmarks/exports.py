"""Exports of random architectures beside what was predicted. Takes ten minutes for twenty.

    OMP_NUM_THREADS=1 python benchmarks/exports.py | tee benchmarks/exports.md

Each architecture is exported as by `python -m search export`. Its weights are random, since Core
ML's converter would merge the equal parts of an untrained codec. The table in Markdown tells
whether the op list of each saved package is the one from which its times are predicted: the same
fused ops of the same shapes, and so the same MACs. On tiles of four photographs it compares three
programs with the model: those of the packages, run in torch, with weights of float16; ONNX Runtime;
and those of the packages with every value rounded to float16. It gives the share of symbols that
differ, and the largest difference of samples in [0, 1] that both decode from the same symbols.
Megabytes are those of packages and tables.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from spaces import load_space

from latency_predictor.networks.package_ops import read_package
from latency_predictor.ops import occurrences
from search.export.checks import Agreement
from search.export.export import PACKAGE_FILES, ExportError, export, predicted_ops
from search.report.markdown import markdown_table
from space.architecture import Architecture
from space.bitstream.model_file import Model
from space.bitstream.tiling import TILE
from space.codec.codec import Codec
from space.lowering.programs import randomise

COLUMNS = (
    "id", "context", "resampling", "activation", "encoder kMAC/px", "ops", "op list",
    "decoder kMAC/px", "ops", "op list", "package", "ONNX", "float16", "MB", "s",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="pico_large")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    space = load_space(arguments.space)
    numbers = space.sample(arguments.n, np.random.default_rng(arguments.seed)).tolist()
    rows, equal = [], 0
    for number in numbers:
        cells, same = row(space.architecture(number), number)
        rows.append(cells + [""] * (len(COLUMNS) - len(cells)))
        equal += same
        print(f"{len(rows)} of {len(numbers)}: {cells[0]}", file=sys.stderr, flush=True)
    print(markdown_table(COLUMNS, rows))
    print(
        f"\nOf {len(numbers)} architectures of `{arguments.space}`, {equal} were exported with the "
        "predicted op lists in both packages."
    )


def row(architecture: Architecture, seed: int) -> tuple[list[str], bool]:
    """Cells of one architecture, and whether both op lists are as predicted.

    An architecture that cannot be exported has the reason as its last cell.
    """
    model = random_model(architecture, seed)
    named = [
        architecture.id,
        architecture.context,
        architecture.resampling,
        architecture.activation,
    ]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "export"
        start = perf_counter()
        try:
            manifest = export(model, folder)
        except ExportError as error:
            return [*named, str(error)], False
        seconds = perf_counter() - start
        networks, same = network_cells(model, folder)
        size_mb = sum(f.stat().st_size for f in folder.rglob("*") if f.suffix != ".onnx") / 1e6
    checks = {name: Agreement(**found) for name, found in manifest["checks"].items()}
    return [
        *named,
        *networks,
        *(agreement_cell(checks[name]) for name in ("core_ml", "onnx", "core_ml_float16")),
        f"{size_mb:.1f}",
        f"{seconds:.0f}",
    ], same


def agreement_cell(found: Agreement) -> str:
    """Share of unequal symbols and largest difference of samples."""
    return f"{100 * found.unequal_symbols / found.symbols:.2g} %, {found.picture_difference:.0e}"


def random_model(architecture: Architecture, seed: int) -> Model:
    """A model with random weights, in which no two parts are equal."""
    model = Model.of(Codec(architecture))
    randomise(model.decoder, seed)
    randomise(model.encoder, seed + 1)
    return model


def network_cells(model: Model, folder: Path) -> tuple[list[str], bool]:
    """Cells of both packages' MACs and ops as saved, and whether all are as predicted."""
    cells, same = [], True
    for name, package in PACKAGE_FILES.items():
        found, predicted = read_package(folder / package).table, predicted_ops(model, name)
        equal = occurrences(found) == occurrences(predicted)
        macs = float(found.totals()["macs"][0])
        equal &= macs == float(predicted.totals()["macs"][0])
        ops = int(found.count.sum())
        cells += [f"{macs / TILE**2 / 1e3:.1f}", str(ops), "equal" if equal else "differs"]
        same &= equal
    return cells, same


if __name__ == "__main__":
    main()
