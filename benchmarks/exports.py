"""Random architectures exported: are the packages what was predicted? Ten minutes for twenty.

    OMP_NUM_THREADS=1 python benchmarks/exports.py | tee benchmarks/exports.md

Each is exported as `python -m search export` does it, with weights drawn at random: Core ML's
converter would merge the equal parts of an untrained codec. Prints, in Markdown, whether the op
list of each saved package is the one that its times are predicted from: the same fused ops of the
same shapes, and so the same MACs. Then, on tiles of four photographs, the share of symbols that
are not the model's, and the largest difference of a sample in [0, 1] that both decode from the same
symbols: for the programs of the packages, run in torch, against weights of float16; for ONNX
Runtime; and for the programs with every value rounded to float16. Megabytes are of packages and
tables.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import yaml

from latency_predictor.networks.package_ops import read_package
from latency_predictor.ops import occurrences
from search.config.schema import CONFIGS
from search.export.checks import Agreement
from search.export.export import PACKAGES, ExportError, export, predicted_ops
from space.architecture import Architecture
from space.bitstream.model_file import Model
from space.bitstream.tiling import TILE
from space.codec.codec import Codec
from space.lowering.programs import randomise
from space.search_space import SearchSpace

COLUMNS = (
    "id", "context", "resampling", "activation", "encoder kMAC/px", "ops", "op list",
    "decoder kMAC/px", "ops", "op list", "package", "ONNX", "float16", "MB", "s",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--space", default="pico_large")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = yaml.safe_load((CONFIGS / f"space/{arguments.space}.yaml").read_text())
    space = SearchSpace.from_config(config)
    numbers = space.sample(arguments.n, np.random.default_rng(arguments.seed)).tolist()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    equal = 0
    for number in numbers:
        cells, same = row(space.architecture(number), number)
        equal += same
        print(f"| {' | '.join(cells)} |", flush=True)
    print(
        f"\nOf {len(numbers)} architectures of `{arguments.space}`, {equal} were exported with the "
        "predicted op lists in both packages."
    )


def row(architecture: Architecture, seed: int) -> tuple[list[str], bool]:
    """Cells of one architecture, and whether both op lists are as predicted."""
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
    return f"{100 * found.unequal_symbols / found.symbols:.2g} %, {found.picture_difference:.0e}"


def random_model(architecture: Architecture, seed: int) -> Model:
    model = Model.of(Codec(architecture))
    randomise(model.decoder, seed)
    randomise(model.encoder, seed + 1)
    return model


def network_cells(model: Model, folder: Path) -> tuple[list[str], bool]:
    """MACs and ops of both packages as they were saved, and whether all are as predicted."""
    cells, same = [], True
    for name, package in PACKAGES.items():
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
