"""The app behind `python -m search`, and the conversion of arguments that Typer cannot read.

Command modules import slow packages inside functions, rather than at the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from latency_predictor.cli.help import APP, add_command
from search.cli.bench import bench
from search.cli.coding.decode import decode
from search.cli.coding.encode import encode
from search.cli.coding.identify import identify
from search.cli.export import export
from search.cli.pretrain import pretrain
from search.cli.promote import promote
from search.cli.report import report
from search.cli.run import run
from search.cli.study.app import app as study
from search.cli.train import train

CALL = "python -m search"
SEVERAL = {"bench": "--model", "promote": "--id", "study create": "--bpp"}
"""For each command that has an option with several values, the name of this option."""
SINGLE_VALUED = ("--root", "--best-under-ms", "--shortlist")
"""The options of `promote` that take one value. The value may contain an equals sign."""
TO_HYDRA: dict[str, Any] = {
    "context_settings": {"ignore_unknown_options": True},
    "add_help_option": False,
}
"""Settings of commands that pass unknown options and --help on to Hydra."""

app = typer.Typer(
    **APP,
    help="Search for image codecs that are fast on a phone, and use them.",
    epilog="Once installed, the program is called codec-search as well.",
)
add_command(
    app, f"{CALL} run", run,
    "+space=pico_large",
    "+space=pico_large data.root=~/Pictures device=iphone12 run.name=mine",
    "+space=pico_large search.trials=8 --cfg job",
    **TO_HYDRA,
)  # fmt: skip
add_command(
    app, f"{CALL} pretrain", pretrain,
    "+space=pico_large data.root=~/Pictures",
    "+space=pico_large run.name=longer pretrain.joint.steps=26000",
    **TO_HYDRA,
)  # fmt: skip
add_command(
    app, f"{CALL} report", report,
    "mine", "runs/mine", "mine --root runs", "mine --watch --serve", "mine other --out both.html",
)  # fmt: skip
add_command(
    app, f"{CALL} promote", promote,
    "reference --knee",
    "mine --id e3dea32e86bd 23fdc6a59d8e data.root=~/Pictures",
    "mine --best-under-ms 100 recipe=standard",
)  # fmt: skip
add_command(
    app, f"{CALL} train", train,
    "light light.safetensors --photos ~/Pictures --steps 2000",
    "mine/e3dea32e86bd mine.safetensors",
)  # fmt: skip
add_command(
    app, f"{CALL} encode", encode,
    "photo.heic photo.pcd --quality 5",
    "photo.heic photo.pcd --model light.safetensors",
    "*.jpg --output coded --keep-metadata",
)  # fmt: skip
add_command(
    app, f"{CALL} decode", decode,
    "photo.pcd photo.png", "photo.pcd photo.png --model light.safetensors",
    "coded/*.pcd --output decoded",
)  # fmt: skip
add_command(app, f"{CALL} identify", identify, "photo.pcd", "light.safetensors")
add_command(app, f"{CALL} export", export, "light.safetensors", "results/mine/light --out app")
add_command(
    app, f"{CALL} bench", bench,
    "~/Pictures --model light.safetensors mine.safetensors",
    "~/Pictures --codecs jpeg,webp --metrics psnr --anchor webp",
)  # fmt: skip
app.add_typer(study, name="study")


def _is_override(before: str, word: str) -> bool:
    """Whether a word of `promote` is an override: no option, no option's value and no folder."""
    return (
        "=" in word
        and not word.startswith("-")
        and before not in SINGLE_VALUED
        and not Path(word).is_dir()
    )


def readable(arguments: Sequence[str]) -> list[str]:
    """Convert arguments to the form that Typer reads.

    `--id A B` becomes `--id A --id B`. The overrides of `promote`, the only command with both
    overrides and other arguments, are moved to the end.
    """
    words = list(arguments)
    named = 2 if words[:1] == ["study"] else 1
    command, words = " ".join(words[:named]), words[named:]
    if command not in SEVERAL:
        return list(arguments)
    overrides = []
    if command == "promote":
        moved = [_is_override(*pair) for pair in zip(["", *words], words, strict=False)]
        overrides = [word for word, moves in zip(words, moved, strict=True) if moves]
        kept = [word for word, moves in zip(words, moved, strict=True) if not moves]
        words = [word for word in kept if word != "--"]
    option, read, repeats = SEVERAL[command], [], False
    for before, word in zip(["", *words], words, strict=False):
        if word.startswith("-"):
            repeats = word == option
        elif repeats and before != option:
            read.append(option)
        read.append(word)
    return [*command.split(), *read, *(["--", *overrides] if overrides else [])]
