"""Memory that the evaluation of a codec needs, beside its estimate.

    python benchmarks/memory.py

Measures the peak of the private memory of processes that train a codec for one step and measure it,
and prints a table. `search/evaluation/memory.py` has the estimate.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
from spaces import load_space

from search.config.schema import ProxyConfig
from search.evaluation.memory import memory_bytes
from search.training.proxy import begin, score_training
from search.training.start import initialisation_of
from space.architecture import Architecture

CASES = [
    ("pico_tiny", 0, 0, 1), ("pico_large", None, 0, 1), ("pico_tiny", 0, 1, 4),
    ("pico_large", None, 1, 1), ("pico_large", None, 1, 4), ("pico_large", None, 1, 16),
    ("pico_large", 700_000_000_000, 1, 2), ("pico_large", 700_000_000_000, 1, 4),
    ("pico_small", None, 1, 8),
]  # fmt: skip
"""Space, number of the architecture or None for the reference, training steps, and batch."""


def private_bytes() -> int:
    """Memory of this process that it shares with no other, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+)", status)
    assert found is not None
    return 1024 * int(found[1])


def peak_bytes(architecture: Architecture, proxy: ProxyConfig) -> int:
    """Peak of this process's private memory while it evaluates a codec once."""
    crops = np.random.default_rng(0).integers(0, 256, (16, 3, 256, 256), dtype=np.uint8)
    start, peak = initialisation_of(crops), private_bytes()

    def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, private_bytes())
            time.sleep(0.01)

    threading.Thread(target=watch, daemon=True).start()
    training = begin(architecture, start, proxy, 0)
    score_training(training, crops, crops[:1], (3.0,), proxy.metrics, proxy.steps)
    return peak


def architecture_of(name: str, number: int | None) -> Architecture:
    """An architecture of a space, by number; without one, the reference."""
    space = load_space(name)
    return space.reference if number is None else space.architecture(number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    case = parser.parse_args().case
    if case:
        name, number, steps, batch = case
        print(peak_bytes(architecture_of(name, number), ProxyConfig(steps=steps, batch=batch)))
        return
    rows = []
    for name, number, steps, batch in CASES:
        command = [sys.executable, __file__, "--case", json.dumps((name, number, steps, batch))]
        peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        estimate = memory_bytes(
            architecture_of(name, number), ProxyConfig(steps=steps, batch=batch)
        )
        rows.append(
            {
                "space": name,
                "architecture": "reference" if number is None else f"number {number:,}",
                "steps": steps,
                "batch": batch,
                "peak, MB": f"{peak / 1e6:.0f}",
                "estimate, MB": f"{estimate / 1e6:.0f}",
                "peak / estimate": f"{peak / estimate:.2f}",
            }
        )
    print(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))


if __name__ == "__main__":
    main()
