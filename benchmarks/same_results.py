"""Digests of what the commands compute, to compare before and after a change that must keep them.

    python benchmarks/same_results.py WORK > before.txt
    python benchmarks/same_results.py WORK2 > after.txt
    diff before.txt after.txt

Searches, pretrains, promotes and codes for a few steps, with equal seeds and one thread per
training. The digests leave out times. They are only equal on the same machine with equal
versions of its libraries. Takes six minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

import pandas as pd
from safetensors.torch import load_file

TRIALS, STEPS = 8, 20
CROPS = ("data.train_crops=32", "data.select_crops=4")


def call(work: Path, *words: str) -> None:
    """Run a command of `python -m search` in `work`."""
    command = [sys.executable, "-W", "ignore", "-m", "search", *words]
    subprocess.run(command, cwd=work, check=True, stdout=subprocess.DEVNULL)


def of_table(path: Path) -> str:
    """Digest of a run's trials in the order of their ids, without times."""
    trials = pd.read_parquet(path).sort_values("id", ignore_index=True)
    timed = [name for name in map(str, trials) if name.endswith("_s") or name == "finished"]
    return hashlib.sha256(trials.drop(columns=timed).to_csv().encode()).hexdigest()[:16]


def of_tensors(path: Path) -> str:
    """Digest of the tensors of a safetensors file, in the order of their names."""
    total = hashlib.sha256()
    for name, tensor in sorted(load_file(path).items()):
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        total.update(tensor.contiguous().numpy().data)
    return total.hexdigest()[:16]


def of_bytes(path: Path) -> str:
    """Digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work
    work.mkdir(parents=True)
    call(work, "run", "+space=pico_small", f"search.trials={TRIALS}", "run.name=searched", *CROPS)
    print("run", of_table(work / "results/searched/trials.parquet"), flush=True)
    call(work, "pretrain", "+space=pico_tiny", f"pretrain.joint.steps={STEPS}",
         f"pretrain.entropy.steps={STEPS}", "pretrain.entropy.crops=32", *CROPS)  # fmt: skip
    (supernet,) = (work / "results/supernets/pico_tiny").glob("supernet.safetensors")
    print("pretrain", of_tensors(supernet), flush=True)
    best = pd.read_csv(work / "results/searched/front.csv")["id"].iloc[0]
    call(work, "promote", "searched", "--id", best, "recipe.crops=32", "data.select_crops=4",
         f"recipe.perceptual.steps={STEPS}", f"recipe.validate_every={STEPS}")  # fmt: skip
    (model,) = (work / "results/searched/promoted").glob("*/model.safetensors")
    print("promote", of_tensors(model), flush=True)
    (picture,) = (work / "results/supernets/pico_tiny").glob("reference.png")
    coded = work / "coded.bin"
    call(work, "encode", str(picture), str(coded), "--model", str(model))
    print("encode", of_bytes(coded), flush=True)
    call(work, "decode", str(coded), str(work / "decoded.png"), "--model", str(model))
    print("decode", of_bytes(work / "decoded.png"), flush=True)


if __name__ == "__main__":
    main()
