"""The commands for measuring a device: `kit`, `profile` and `import`.

`kit` writes the programs to measure. `profile` and `import` write a profile file of the results.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from latency_predictor.devices import LOCAL_CPU
from latency_predictor.measure import iphone
from latency_predictor.measure import kit as kits
from latency_predictor.measure.measured_elsewhere import records_of
from latency_predictor.measure.programs import ProgramSource, find
from latency_predictor.model.suggest import at_random, choose
from latency_predictor.profiles import profile_file
from latency_predictor.profiles.profile_file import ProfileRecord

T = TypeVar("T")

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def kit(options: argparse.Namespace) -> dict[str, Any]:
    """Choose architectures of a space and write a folder of programs to measure on a device."""
    device, folder = kits.device_named(options.device), options.out
    if (folder / kits.MANIFEST).exists():
        raise kits.KitError(f"--out {str(folder)!r} already holds a kit; choose another folder")
    source = find(options.space)
    found_as = str(Path(options.space).resolve()) if Path(options.space).is_file() else source.name
    numbers = chosen(source, device, options)
    made = kits.make(source, found_as, device, numbers, options.seed)
    for _ in _shown(kits.write(made, source, folder), len(made.models), "Converting"):
        pass
    return {
        "out": str(folder),
        "device": device,
        "architectures": options.n,
        "programs": len(made.models),
        "next": _next(device, folder),
    }


def chosen(source: ProgramSource, device: str, options: argparse.Namespace) -> list[int]:
    """Numbers of the architectures that `options` select, given the current model of the device."""
    from latency_predictor.model import artefact

    rng = np.random.default_rng(options.seed)
    if options.random:
        return at_random(source, options.n, rng).tolist()
    times = artefact.load(options.model or artefact.SHIPPED).times(device)
    return choose(source, times, options.n, rng).tolist()


def add_choice(parser: Any) -> None:
    """Add the arguments that `chosen` reads."""
    parser.add_argument("space", help="name of a search space, or a YAML file with one")
    parser.add_argument("--n", type=count, default=20, help="number of architectures; default: 20")
    parser.add_argument(
        "--device", default="iphone16pro", help=f"a phone, or {LOCAL_CPU}; default: iphone16pro"
    )
    parser.add_argument("--model", type=Path, help="current model file; default: the shipped one")
    parser.add_argument(
        "--random",
        action="store_true",
        help="choose architectures at random, to check predictions",
    )
    parser.add_argument("--seed", type=natural, default=0, help="seed of the choice; default: 0")


def profile(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the programs of a kit, on this machine or on a connected iPhone."""
    made = kits.read(options.kit)
    out = options.out or options.kit / "profile.jsonl"
    _check_folder_of(out)
    records = {record.key: record for record in profile_file.read(out)} if out.exists() else {}
    if made.device == LOCAL_CPU:
        from latency_predictor.measure import local

        left = local.steps(made, records.values())
        measured = local.measure(made, find(made.source), list(records.values()))
    else:
        left = len(made.models)
        measured = iphone.measure(made, options.kit, options.team, list(records.values()))
    try:
        for record in _shown(measured, left, "Measuring"):
            records[record.key] = record
            profile_file.write(records.values(), out)
    except KeyboardInterrupt:
        print("Interrupted. The same command continues.", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    return {"out": str(out), **_summary(records.values())}


def import_(options: argparse.Namespace) -> dict[str, Any]:
    """Write a profile file from measurements of a kit that were made with other software."""
    _check_folder_of(options.out)
    made = kits.read(options.kit)
    records = records_of(options.file, made)
    keys = [record.key for record in records]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise profile_file.ProfileFileError(
            f"measurements {str(options.file)!r} contain {twice[0]} on {twice[2]} ({twice[1]}) "
            "more than once"
        )
    profile_file.write(records, options.out)
    measured = {record.model.name for record in records}
    missing = [model.name for model in made.models if model.name not in measured]
    return {"out": str(options.out), **_summary(records), "not_measured": missing}


def add_parsers(commands: Any) -> None:
    """Add the three commands to argparse's subparsers."""
    parser = commands.add_parser("kit", help=kit.__doc__)
    add_choice(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.set_defaults(command=kit)
    parser = commands.add_parser("profile", help=profile.__doc__)
    parser.add_argument("kit", type=Path, help="folder of a kit")
    parser.add_argument(
        "--out", type=Path, help="profile file to write; default: profile.jsonl in the kit"
    )
    parser.add_argument("--team", help="id of the team that signs the runner app on the phone")
    parser.set_defaults(command=profile)
    parser = commands.add_parser("import", help=import_.__doc__)
    parser.add_argument("file", type=Path, help="burst_results.json, a table, or a profile file")
    parser.add_argument("--kit", type=Path, required=True, help="folder of the kit")
    parser.add_argument("--out", type=Path, required=True, help="profile file to write")
    parser.set_defaults(command=import_)


def count(text: str) -> int:
    """Parse a number of architectures."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of architectures, 1 or more")
    return int(text)


def natural(text: str) -> int:
    """Parse a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed, 0 or more")
    return int(text)


def _check_folder_of(out: Path) -> None:
    if not out.parent.is_dir():
        raise OSError(f"--out {str(out)!r}: folder {str(out.parent)!r} does not exist")


def _next(device: str, folder: Path) -> str:
    command = f"python -m latency_predictor profile {folder}"
    return command if device == LOCAL_CPU else f"read {folder / 'README.md'}"


def _summary(records: Iterable[ProfileRecord]) -> dict[str, Any]:
    """Median milliseconds by device, compute unit and program."""
    ms: dict[str, dict[str, float]] = defaultdict(dict)
    for record in records:
        ms[f"{record.device.name}, {record.compute_unit}"][record.model.name] = round(record.ms, 3)
    return {"ms": ms}


def _shown(steps: Iterator[T], total: int, what: str) -> Iterator[T]:
    """The steps, with a progress bar on standard error if it is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(file=sys.stderr)  # the current stream, even if it is redirected later
    return iter(track(steps, what, total=total, console=console, disable=not console.is_terminal))
