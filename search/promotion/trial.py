"""One model's training in one process, or in one of several: from its start to its file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tensorboardX import SummaryWriter
from torch import distributed

from search.images import to_pillow
from search.looks import add_look
from search.metrics import find
from search.optimisation import Start
from search.photographs import Crops
from search.promotion.loop import CURVE, FullTraining, Lessons
from search.promotion.recipe import Recipe
from search.proxy import measure
from space.architecture import Architecture
from space.model import FILE, Model
from space.writing import write_whole

CHECKPOINT = "checkpoint.safetensors"
LOSSES, LOOKS = "losses.csv", "looks.csv"
SAMPLE = "sample.png"
BOARD = "tensorboard"
SAVE_EVERY_S = 60.0
"""What a kill costs at most."""
REPORT_EVERY = 10
"""Steps between reports of how far a training is."""
QUALITIES = (0.0, 2.0, 4.0, 6.0, 7.0)
"""At which held-out crops are looked at."""
SHOWN = ("ssimulacra2", "ms_ssim", "psnr")
"""Metrics of a look."""

Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Job:
    """A model to train."""

    architecture: Architecture
    folder: Path
    recipe: Recipe
    seed: int
    processes: int
    start: str
    """In a line, what it starts from."""
    photographs: str
    """Digest of the crops."""

    @property
    def about(self) -> dict[str, Any]:
        """What must be equal where a checkpoint is resumed, by what users call it."""
        said: dict[str, Any] = {
            "the architecture": self.architecture.id,
            "seed": self.seed,
            "processes": self.processes,
            "start": self.start,
            "the photographs": self.photographs,
        }
        for name, value in asdict(replace(self.recipe, look_every=1)).items():
            parts = value if isinstance(value, dict) else {"": value}
            said |= {f"recipe.{name}.{part}".rstrip("."): x for part, x in parts.items()}
        return said


@dataclass(frozen=True)
class Data:
    """What all models of a promotion share."""

    lessons: Lessons
    select: Crops
    """Held-out crops to look at."""
    start: Start


def train(job: Job, data: Data, report: Report) -> None:
    """Train a model to its end, from its checkpoint where there is one, and write its file.

    Of several processes the first one writes. Raises CheckpointError for a checkpoint of other
    settings, ProxyError for a loss that is not finite, and OSError.
    """
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    first = not distributed.is_initialized() or distributed.get_rank() == 0
    training = _begun(job, data)
    steps = job.recipe.steps
    # What was logged after the checkpoint is logged again.
    purged = {"purge_step": training.step + 1} if training.step else {}
    board = SummaryWriter(str(job.folder / BOARD), **purged) if first else None
    saved_at = time.monotonic()
    while training.step < steps:
        figures = training.advance()
        ended = training.step == steps
        looked_at = ended or training.step % job.recipe.look_every == 0
        if board and looked_at:
            _look(training, job, data.select, board)
        # After the look: a kill between both repeats it.
        if board and (looked_at or time.monotonic() - saved_at > SAVE_EVERY_S):
            training.save(job.folder / CHECKPOINT, job.about)
            saved_at = time.monotonic()
        if training.step % REPORT_EVERY == 0 or ended:
            if board:
                _log(figures, training.step, board)
            report({"step": training.step, "loss": figures["loss"]})
    if board:
        board.close()
        _write(training, job)


def _begun(job: Job, data: Data) -> FullTraining:
    """The training as it begins, or as its last checkpoint has it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Branches may start at random.
    torch.manual_seed(job.seed)
    codec = data.start.start(job.architecture).to(device)
    codec = codec.to(memory_format=torch.channels_last)
    training = FullTraining(codec, job.recipe, data.lessons, job.seed)
    if (job.folder / CHECKPOINT).is_file():
        training.resume(job.folder / CHECKPOINT, job.about)
    return training


def _log(figures: dict[str, float], step: int, board: SummaryWriter) -> None:
    for name, value in figures.items():
        if np.isfinite(value):
            board.add_scalar(f"training/{name}", value, step)


def _look(training: FullTraining, job: Job, select: Crops, board: SummaryWriter) -> None:
    """Measure the averaged weights on held-out crops; a table, a picture and TensorBoard."""
    step = training.step
    curve, sample = measure(training.codec, select, QUALITIES, SHOWN)
    add_look(job.folder / LOOKS, step, pd.DataFrame({"quality": QUALITIES, **curve}))
    to_pillow(sample).save(job.folder / SAMPLE)
    board.add_image("sample", sample.numpy(), step)
    for number, quality in enumerate(QUALITIES):
        board.add_scalar(f"bpp/quality {quality:g}", curve["bpp"][number], step)
        for name in SHOWN:
            board.add_scalar(f"{find(name).label}/quality {quality:g}", curve[name][number], step)


def _write(training: FullTraining, job: Job) -> None:
    losses = pd.DataFrame(training.curve, columns=pd.Index(CURVE)).rename_axis("step")
    write_whole(job.folder / LOSSES, losses.to_csv().encode())
    Model.of(training.codec.eval()).save(job.folder / FILE)
