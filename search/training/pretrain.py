"""The command `pretrain`, which trains a space's supernet; and the look-up of trained supernets."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from latency_predictor.interruption import held_back
from search.bench.samples import most_detailed, reconstruct
from search.config.checks import check_values
from search.config.paths import expanded
from search.config.schema import Config, ConfigError, PhaseConfig
from search.data.images import write_png
from search.data.photographs import CROP_CACHE, Photographs, load_photographs
from search.study.folders import locked
from search.training.checkpoint import SAVE_EVERY_S
from search.training.start import initialisation_of
from search.training.supernet import Pretraining, TrainingTask
from search.training.supernet_tasks import Entropy, Joint
from search.training.validation import append_validation, due, measure_curve
from space.architecture import Architecture
from space.codec.precision import fastest_branch_dtype
from space.codec.supernet import Supernet
from space.search_space import SearchSpace, extreme

SHIPPED = Path(__file__).parents[1] / "shipped_supernets"
SHIPPED_SUPERNET = SHIPPED / "pico_large.safetensors"
"""Shipped supernet of the spaces pico_large, pico_decoder, pico_small and pico_ablation."""
SUPERNETS_FOLDER = "supernets"
"""Folder below `run.root` with one folder per supernet.

The folder of a supernet is called `run.name` if that is set, and otherwise like the space.
"""
SUPERNET, CURVES = "supernet.safetensors", "curves.csv"
PhaseKind = TypeVar("PhaseKind", bound=PhaseConfig)
VALIDATED_METRICS = ("psnr", "ssimulacra2")
"""Metrics measured at every validation of a supernet."""


def find_supernet(
    space: SearchSpace, root: Path, chosen: str | None
) -> tuple[Supernet | None, str]:
    """Find the supernet that candidates of `space` start from, with a one-line description.

    `chosen` is the path of a supernet's file, or the word `none` for no supernet. If `chosen` is
    None, the supernet that `pretrain` wrote below `root` is used, or else the shipped supernet, if
    it covers the space. If there is no supernet, the description says why. Raises SupernetError if
    a file is unreadable, and ConfigError if the chosen supernet does not cover the space.
    """
    if chosen == "none":
        return None, "Candidates start from the initialisation because of supernet=none."
    if chosen is not None:
        supernet = _load(space, chosen)
        return supernet, _described(supernet, chosen)
    passed_over = ""
    for path in (root / SUPERNETS_FOLDER / space.name / SUPERNET, SHIPPED_SUPERNET):
        if path.is_file():
            supernet = Supernet.load(path)
            if supernet.covers(space):
                return supernet, _described(supernet, str(path))
            passed_over = f" ({path.name} does not cover it)"
    return None, (
        f"No trained supernet for space {space.name}{passed_over}: candidates start from the "
        f"initialisation. `python -m search pretrain +space={space.name}` trains one."
    )


def _load(space: SearchSpace, chosen: str) -> Supernet:
    supernet = Supernet.load(expanded(chosen))
    if not supernet.covers(space):
        raise ConfigError(
            f"supernet={chosen}: does not cover space {space.name}; expected a supernet that was "
            "trained for it"
        )
    return supernet


def _described(supernet: Supernet, path: str) -> str:
    steps, total = supernet.metadata.get("steps", 0), supernet.metadata.get("of", 0)
    trained = f"{steps} steps" if steps == total else f"only {steps} of {total} steps"
    return f"Candidates start from the supernet {path}, trained for {trained}."


def pretrain(config: Config, console: Console) -> Path:
    """Train the supernet of a space, or continue its training; return the path of its file.

    If `config.supernet` is set, training starts from that supernet.

    Raises errors whose messages are meant for the user: CheckpointError, ConfigError, DataError,
    SpaceError, SupernetError, TrainingDiverged.
    """
    check_values(config)
    space = SearchSpace.from_config(config.space)
    folder = Path(config.run.root) / SUPERNETS_FOLDER / (config.run.name or space.name)
    with console.status("Reading the photographs"):
        cache = Path(config.run.root) / CROP_CACHE
        photographs = load_photographs(**vars(config.data), cache=cache)
    for notice in photographs.notices:
        console.print(notice, style="yellow", highlight=False, markup=False)
    with locked(folder, f"{folder} is being trained by another process"):
        _train(config, space, photographs, folder, console)
    return folder / SUPERNET


def _train(
    config: Config, space: SearchSpace, photographs: Photographs, folder: Path, console: Console
) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Branches are initialised at random.
    torch.manual_seed(config.run.seed)
    if config.supernet in (None, "none"):
        supernet, start = Supernet.begin(space, initialisation_of(photographs.train)), None
    else:
        supernet = _load(space, config.supernet)
        start = supernet.digest
    columns = (*Progress.get_default_columns()[:-1], TextColumn("{task.fields[loss]}"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
        run = _PretrainRun(config, space, photographs, folder, start, bar)
        pretrain = config.pretrain
        if pretrain.joint.steps:
            joint = _resolved(pretrain.joint, device)
            task = Joint(photographs.train, joint, device)
            last = not pretrain.entropy.steps
            supernet = run.phase("joint", supernet.to(device), task, joint, last)
        if pretrain.entropy.steps:
            alone = _resolved(pretrain.entropy, device)
            supernet, seed = supernet.to(device), config.run.seed
            entropy = Entropy(supernet, space, photographs.train, alone, device, seed)
            run.phase("entropy", supernet, entropy, alone, True)


def _resolved(phase: PhaseKind, device: torch.device) -> PhaseKind:
    """A phase with the fastest precision of the device if none is configured."""
    return replace(phase, branch_dtype=phase.branch_dtype or fastest_branch_dtype(device))


@dataclass
class _PretrainRun:
    """Settings and progress display shared by the phases of a supernet training."""

    config: Config
    space: SearchSpace
    photographs: Photographs
    folder: Path
    start: str | None
    """Digest of the supernet that the next phase starts from; None for the initialisation."""
    bar: Progress

    def phase(
        self, name: str, supernet: Supernet, task: TrainingTask, phase: PhaseConfig, last: bool
    ) -> Supernet:
        """Train a phase to its end, from its checkpoint if one exists; return the averaged weights.

        Afterwards `start` is their digest, which is part of the next phase's fingerprint. The files
        of the result belong to the `last` phase once it has begun, so that an earlier phase that is
        complete writes none.
        """
        seed, checkpoint = self.config.run.seed, self.folder / f"{name}.safetensors"
        training = Pretraining(supernet, self.space, task, phase, seed)
        fingerprint: dict[str, Any] = {
            "space": {key: list(values) for key, values in self.space.parameters.items()},
            **{f"pretrain.{name}.{key}": value for key, value in asdict(phase).items()},
            "run.seed": seed,
            "photographs": self.photographs.digest,
            "supernet": self.start,
        }
        if checkpoint.is_file():
            training.resume(checkpoint, fingerprint)
        shown = self.bar.add_task(
            name.capitalize(), total=phase.steps, completed=training.step, loss=""
        )
        if last and training.step == phase.steps:
            self.validate(name, training, phase)  # The user may have deleted its files.
        every, saved_at = self.config.pretrain.validate_every, time.monotonic()
        while training.step < phase.steps:
            with held_back() as interrupted:
                loss = training.advance()
                self.bar.update(shown, advance=1, loss=f"loss {loss:.4f}")
                validating, next_validates = due(training.step, phase.steps, every)
                late = time.monotonic() - saved_at > SAVE_EVERY_S
                if not validating and (next_validates or late or interrupted()):
                    training.save(checkpoint, fingerprint)
                    saved_at = time.monotonic()
            # The checkpoint comes last, so that an interruption before it repeats the validation.
            if validating:
                self.validate(name, training, phase)
                training.save(checkpoint, fingerprint)
                saved_at = time.monotonic()
        steps = supernet.metadata.get("steps", 0) + training.step
        averaged = training.averaged
        averaged.metadata = {"steps": steps, "of": steps}
        self.start = averaged.digest
        return averaged

    def validate(self, name: str, training: Pretraining, phase: PhaseConfig) -> None:
        """Save the supernet with curves and pictures of three subnets; print a line of progress."""
        supernet, config = training.averaged, self.config
        before = supernet.metadata.get("steps", 0)
        step = before + training.step
        supernet.save(self.folder / SUPERNET, {"steps": step, "of": before + phase.steps})
        subnets: dict[str, Architecture] = {
            "smallest": extreme(self.space, self.space.reference, min),
            "reference": self.space.reference,
            "largest": extreme(self.space, self.space.reference, max),
        }
        tables, summaries = [], []
        device = next(iter(supernet.weights.values())).device
        for subnet, architecture in subnets.items():
            codec = supernet.start(architecture).to(device)
            select, qualities = self.photographs.select, config.proxy.qualities
            curve = measure_curve(codec, select, qualities, VALIDATED_METRICS)
            tables.append(pd.DataFrame({"subnet": subnet, **curve}))
            middle = len(qualities) // 2
            sample = reconstruct(codec, most_detailed(select), qualities[middle])
            write_png(sample.pixels, self.folder / f"{subnet}.png")
            bpp, psnr = (curve[figure][middle] for figure in ("bpp", "psnr"))
            summaries.append(f"{subnet} {bpp:.3f} bpp, {psnr:.2f} dB")
        append_validation(self.folder / CURVES, step, pd.concat(tables))
        self.bar.console.print(f"{name}, step {training.step}: {'; '.join(summaries)}")
