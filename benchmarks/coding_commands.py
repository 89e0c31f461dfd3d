"""Time and memory of `encode`, `decode` and `identify` for 12 megapixels, in two versions.

    git worktree add ../before COMMIT
    taskset -c 1 python benchmarks/coding_commands.py --photo FILE --before ../before

The photograph is scaled and cropped to 4032x3024 and saved as a JPEG of quality 92. Every command
is a new process; the versions take turns. The table in Markdown has medians over `--runs` runs: the
wall time, the processor time, which other work on the machine changes less, and the peak of
resident memory. Both versions use the shipped model of the later one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from codec import at_12mp

from search.cli.models import SHIPPED_MODEL
from search.report.markdown import markdown_table

HERE = Path(__file__).parents[1]
LAUNCHER = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
"""Program that runs a command and prints its figures.

It is a small process, because a child's peak of memory counts what it had before it was replaced.
"""
Figures = tuple[float, float, float]
"""Wall time in s, processor time in s, and peak memory in MB."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    found: dict[tuple[str, Path], list[Figures]] = defaultdict(list)
    with TemporaryDirectory() as folder:
        photo, coded, out = (Path(folder) / name for name in ("p.jpg", "p.pcd", "p.png"))
        at_12mp(arguments.photo).save(photo, quality=92)
        calls: dict[str, list[Path | str]] = {
            "encode": [photo, coded, "--model", SHIPPED_MODEL],
            "decode": [coded, out, "--model", SHIPPED_MODEL],
            "identify": [coded],
        }
        for _ in range(arguments.runs):
            for version in (arguments.before.resolve(), HERE):
                for name, words in calls.items():
                    found[name, version].append(figures(version, name, *map(str, words)))
    rows = []
    for name in calls:
        before, after = (
            [statistics.median(column) for column in zip(*found[name, version], strict=True)]
            for version in (arguments.before.resolve(), HERE)
        )
        ratios = [f"{new / old:.2f}" for old, new in zip(before, after, strict=True)]
        for label, (wall, cpu, peak) in (("before", before), ("after", after)):
            rows.append([name, label, f"{wall:.2f}", f"{cpu:.2f}", f"{peak:.0f}"])
        rows.append([name, "ratio", *ratios])
    print(f"{cores()} cores, medians of {arguments.runs} runs")
    headers = ["command", "version", "wall time (s)", "processor time (s)", "peak memory (MB)"]
    print(markdown_table(headers, rows))


def figures(version: Path, *words: str) -> Figures:
    """Run a command of a version, and measure it."""
    environment = os.environ | {"PYTHONPATH": str(version), "OMP_NUM_THREADS": str(cores())}
    call = [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "search", *words]
    said = subprocess.run(
        call, cwd=version, env=environment, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    wall, cpu, peak = map(float, said[-1].split())
    # ru_maxrss is in KiB on Linux, and in bytes on macOS.
    return wall, cpu, peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    main()
