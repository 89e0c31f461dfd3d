"""Accuracy of the latency predictor beside that of baselines: prints the tables of latency.md.

    python benchmarks/latency.py > benchmarks/latency.md

It takes about half an hour on one thread. The protocols are: a source, a source and a family, a
device, or a source and a device left out with all rows; held-out families of networks and a random
split (ten folds each); and a held-out device, of which 0, 5, 10 or 20 rows are given. All models
see equal data. Phones with fewer than 10 rows are left out of all tables and fits;
`image_to_image.md` has predictions for them.
`benchmarks/local_cpu.jsonl` holds measurements of `local_cpu`: 60 architectures, spread evenly over
predicted time among 4,000 draws. These commands measure others:

    python -m latency_predictor kit pico_large --n 60 --random --device local_cpu --out KIT
    python -m latency_predictor profile KIT --out local_cpu.jsonl
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from latency_tables.ablations import ablations
from latency_tables.cross_validation import (
    by_epistemic_std,
    by_protocol,
    by_source,
    label_noise,
    large_inputs,
    ratios,
)
from latency_tables.few_shot import held_out_devices, local_cpu
from latency_tables.laboratories import rows_of_new_laboratories
from latency_tables.scores import PHONES

from latency_predictor.model.crossval import folds_at_random, folds_by_family
from latency_predictor.model.recalibrate import calibration_rows
from latency_predictor.model.unseen import has_few_rows
from latency_predictor.profiles import lowered
from latency_predictor.profiles.measurements import join_op_lists
from latency_predictor.profiles.rows import rows_of_device

LOCAL = Path(__file__).parent / "local_cpu.jsonl"
PROTOCOLS = {"held-out family": folds_by_family, "random split": folds_at_random}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    warnings.simplefilter("ignore")
    rows, _ = calibration_rows(None)
    tables, _ = lowered.lower_all(rows["network"], lowered.load())
    whole = join_op_lists(rows, tables)
    few = has_few_rows(whole)
    whole, rows = whole.where(~few), rows[~few]
    engines = np.isin(whole.calibration, list(PHONES))
    phones, phone_rows = whole.where(engines), rows[engines]
    folds = {name: split(whole)[engines] for name, split in PROTOCOLS.items()}
    families = folds["held-out family"]
    local = join_op_lists(*rows_of_device(LOCAL, "local_cpu"))
    print("# Latency predictor\n\n`python benchmarks/latency.py`")
    section("Networks on the Neural Engine", by_protocol(whole, phones, folds))
    section("Which of two networks is faster", ratios(whole))
    section("What the rows of a new laboratory buy", rows_of_new_laboratories(whole))
    section("Per source: held-out families, within the source", by_source(phones, families))
    section("512x512 rows", large_inputs(phones, phone_rows, families))
    section(
        "Does the model know what it does not know?", by_epistemic_std(phones, phone_rows, families)
    )
    section("Label noise", label_noise(phone_rows))
    section("What each term buys: held-out families, within the source", ablations(phones, folds))
    section("A device that was held out", held_out_devices(whole))
    section("local_cpu: architectures of pico_large on the processor of a server", local_cpu(local))


def section(title: str, text: str) -> None:
    print(f"\n## {title}\n\n{text}", flush=True)


if __name__ == "__main__":
    main()
