"""Parents of spaces: where they are found, and the run that trains one."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from search.checks import check_values
from search.config import Config, ConfigError, PhaseConfig
from search.images import to_pillow
from search.looks import add_look
from search.photographs import CROP_CACHE, Photographs, load_photographs
from search.pretraining import Pretraining, Task
from search.proxy import measure, skeleton_of
from search.supernet_tasks import Entropy, Joint
from space.architecture import Architecture
from space.parent import Parent
from space.precision import fastest_branch_dtype
from space.search_space import SearchSpace, extreme

SHIPPED = Path(__file__).parent / "shipped_parents"
SHIPPED_SUPERNET = SHIPPED / "pico_large.safetensors"
"""Its slices are the architectures of pico_large, pico_decoder, pico_small and pico_ablation."""
FOLDER = "parents"
"""Below the runs' root: a folder per space, or per `run.name`."""
PARENT, CURVES = "parent.safetensors", "curves.csv"
SAVE_EVERY_S = 60.0
"""What an interruption costs at most."""
Phase = TypeVar("Phase", bound=PhaseConfig)
SHOWN = ("psnr", "ssimulacra2")
"""Metrics that are written down while a parent trains."""


def find_parent(space: SearchSpace, root: Path, chosen: str | None) -> tuple[Parent | None, str]:
    """The parent that candidates of `space` start from, and one line that says which or why none.

    `chosen` is a file, `none`, or None for what `pretrain` made below `root` or else what is
    shipped. Raises ParentError for a file that cannot be read, ConfigError for a chosen one that is
    of another space.
    """
    if chosen == "none":
        return None, "Candidates start from the skeleton, as parent=none asks."
    if chosen is not None:
        parent = _load(space, chosen)
        return parent, _described(parent, chosen)
    passed_over = ""
    for path in (root / FOLDER / space.name / PARENT, SHIPPED_SUPERNET):
        if path.is_file():
            parent = Parent.load(path)
            if parent.covers(space):
                return parent, _described(parent, str(path))
            passed_over = f" ({path.name} lacks values of it)"
    return None, (
        f"No trained parent of {space.name}{passed_over}: candidates start from the skeleton. "
        f"`python -m search pretrain +space={space.name}` trains one."
    )


def _load(space: SearchSpace, chosen: str) -> Parent:
    parent = Parent.load(Path(chosen).expanduser())
    if not parent.covers(space):
        raise ConfigError(f"parent={chosen}: not of space {space.name}, whose values it lacks")
    return parent


def _described(parent: Parent, path: str) -> str:
    steps, of = parent.said.get("steps", 0), parent.said.get("of", 0)
    trained = f"{steps} steps" if steps == of else f"only {steps} of {of} steps"
    return f"Candidates start from the parent {path}, trained for {trained}."


def pretrain(config: Config, console: Console) -> Path:
    """Train the parent of a space, or go on with it; its file.

    With `config.parent`, training begins where that one's ended.

    Raises errors whose message is meant for the user: ConfigError, SpaceError, DataError,
    CheckpointError, ProxyError.
    """
    check_values(config)
    space = SearchSpace.from_config(config.space)
    folder = Path(config.run.root) / FOLDER / (config.run.name or space.name)
    with console.status("Reading the photographs"):
        cache = Path(config.run.root) / CROP_CACHE
        photographs = load_photographs(**vars(config.data), cache=cache)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            _train(config, space, photographs, folder, console)
    except Timeout:
        raise ConfigError(f"{folder} is being trained by another process") from None
    return folder / PARENT


def _train(
    config: Config, space: SearchSpace, photographs: Photographs, folder: Path, console: Console
) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Branches start at random.
    torch.manual_seed(config.run.seed)
    if config.parent in (None, "none"):
        parent, begun_from = Parent.begin(space, skeleton_of(photographs.train)), None
    else:
        parent = _load(space, config.parent)
        begun_from = parent.digest
    columns = (*Progress.get_default_columns()[:-1], TextColumn("{task.fields[loss]}"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
        run = _PretrainRun(config, space, photographs, folder, begun_from, device, bar)
        pretrain = config.pretrain
        if pretrain.joint.steps:
            joint = _resolved(pretrain.joint, device)
            task = Joint(photographs.train, joint, device)
            parent = run.phase("joint", parent.to(device), task, joint)
        if pretrain.entropy.steps:
            alone = _resolved(pretrain.entropy, device)
            parent, seed = parent.to(device), config.run.seed
            entropy = Entropy(parent, space, photographs.train, alone, device, seed)
            run.phase("entropy", parent, entropy, alone)


def _resolved(phase: Phase, device: torch.device) -> Phase:
    """A phase whose precision is that of the device where none is asked for."""
    return replace(phase, branch_dtype=phase.branch_dtype or fastest_branch_dtype(device))


@dataclass
class _PretrainRun:
    """Settings that the phases of a training share, and the display of how far they are."""

    config: Config
    space: SearchSpace
    photographs: Photographs
    folder: Path
    begun_from: str | None
    device: torch.device
    bar: Progress

    def phase(self, name: str, parent: Parent, task: Task, phase: PhaseConfig) -> Parent:
        """Train a phase to its end, from its checkpoint where there is one; the averaged weights.

        A phase before it is in `begun_from`, by the digest of what it gave.
        """
        seed, checkpoint = self.config.run.seed, self.folder / f"{name}.safetensors"
        training = Pretraining(parent, self.space, task, phase, seed)
        about: dict[str, Any] = {
            "space": {key: list(values) for key, values in self.space.parameters.items()},
            **{f"pretrain.{name}.{key}": value for key, value in asdict(phase).items()},
            "run.seed": seed,
            "photographs": self.photographs.digest,
            "parent": self.begun_from,
        }
        if checkpoint.is_file():
            training.resume(checkpoint, about)
        shown = self.bar.add_task(
            name.capitalize(), total=phase.steps, completed=training.step, loss=""
        )
        saved_at = time.monotonic()
        while training.step < phase.steps:
            loss = training.advance()
            self.bar.update(shown, advance=1, loss=f"loss {loss:.4f}")
            looked_at = training.step % self.config.pretrain.look_every == 0
            if looked_at or time.monotonic() - saved_at > SAVE_EVERY_S:
                training.save(checkpoint, about)
                saved_at = time.monotonic()
            if looked_at:
                self.look(name, training, phase)
        training.save(checkpoint, about)
        self.look(name, training, phase)
        said = parent.said.get("steps", 0) + training.step
        averaged = training.averaged
        averaged.said = {"steps": said, "of": said}
        self.begun_from = averaged.digest
        return averaged

    def look(self, name: str, training: Pretraining, phase: PhaseConfig) -> None:
        """Say in a line how far a phase has come, with curves and pictures of three subnets."""
        before = training.averaged.said.get("steps", 0)
        said_of = {"steps": before + training.step, "of": before + phase.steps}
        said = _look(
            training.averaged, said_of, self.space, self.photographs, self.config, self.folder
        )
        self.bar.console.print(f"{name}, step {training.step}: {said}")


def _look(
    parent: Parent,
    said_of: dict[str, int],
    space: SearchSpace,
    photographs: Photographs,
    config: Config,
    folder: Path,
) -> str:
    """Save the parent as it is, with curves and pictures of three subnets; one line of them."""
    parent.save(folder / PARENT, said_of)
    children: dict[str, Architecture] = {
        "smallest": extreme(space, space.reference, min),
        "reference": space.reference,
        "largest": extreme(space, space.reference, max),
    }
    tables, said = [], []
    device = next(iter(parent.weights.values())).device
    for name, architecture in children.items():
        codec = parent.start(architecture).to(device)
        curve, sample = measure(codec, photographs.select, config.proxy.qualities, SHOWN)
        tables.append(pd.DataFrame({"child": name, **curve}))
        to_pillow(sample).save(folder / f"{name}.png")
        middle = len(config.proxy.qualities) // 2
        said.append(f"{name} {curve['bpp'][middle]:.3f} bpp, {curve['psnr'][middle]:.2f} dB")
    add_look(folder / CURVES, said_of["steps"], pd.concat(tables))
    return "; ".join(said)
