"""The command `kit`, which writes the programs to measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latency_predictor.cli.options import (
    CHOICE_DEVICE,
    Choice,
    ChoiceDevice,
    Count,
    ModelFile,
    Random,
    Seed,
    Space,
)
from latency_predictor.cli.places import check_folder
from latency_predictor.cli.progress import shown
from latency_predictor.cli.values import path
from latency_predictor.devices import LOCAL_CPU


def kit(
    space: Space,
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", parser=path, help="Folder to write.")],
    n: Count = 20,
    device: ChoiceDevice = CHOICE_DEVICE,
    model: ModelFile = None,
    random: Random = False,
    seed: Seed = 0,
) -> dict[str, Any]:
    """Write a folder of programs to measure on a device.

    The programs belong to the architectures of a space that tell the model most about the device.
    """
    from latency_predictor.measure import kit as kits
    from latency_predictor.measure.programs import find

    slug = kits.device_named(device)
    check_folder(out)
    if (out / kits.KIT_FILE).exists():
        raise kits.KitError(f"--out {str(out)!r} already holds a kit; choose another folder")
    if held := next((name for name in kits.RUNNER_FILES if (out / name).exists()), None):
        raise kits.KitError(f"--out {str(out)!r} already holds {held}; choose another folder")
    source = find(space)
    is_file = space.endswith((".yaml", ".yml")) and Path(space).is_file()
    found_as = str(Path(space).resolve()) if is_file else source.name
    numbers = Choice(n, model, random, seed).numbers(source, slug)
    made = kits.make(source, found_as, slug, numbers, seed)
    for _ in shown(kits.write(made, source, out), "Converting", len(made.models)):
        pass
    return {
        "out": str(out),
        "device": slug,
        "architectures": n,
        "programs": len(made.models),
        "next": _next(slug, out),
    }


def _next(device: str, folder: Path) -> str:
    command = f"python -m latency_predictor profile {folder}"
    return command if device == LOCAL_CPU else f"read {folder / 'README.md'}"
