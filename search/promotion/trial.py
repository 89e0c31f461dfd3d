"""Full training of one model, run in one process or in each of several."""

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

from latency_predictor.writing import write_whole
from search.bench.samples import most_detailed, reconstruct
from search.data.images import write_png
from search.data.photographs import Crops
from search.metrics import find_metric
from search.promotion.recipe import Recipe
from search.promotion.stopping import asked_to_stop, stoppable
from search.training.checkpoint import SAVE_EVERY_S
from search.training.full import CURVE, FullTraining, TrainingData
from search.training.start import Start, new_codec
from search.training.validation import append_validation, due, measure_curve
from space.architecture import Architecture
from space.bitstream.model_file import MODEL_FILE, Model

CHECKPOINT = "checkpoint.safetensors"
LOSSES, VALIDATION = "losses.csv", "validation.csv"
"""Files of two tables: the losses of every step, and the curves of every validation."""
SAMPLE = "sample.png"
BOARD = "tensorboard"
REPORT_EVERY = 10
"""Steps between progress reports."""
QUALITIES = (0.0, 2.0, 4.0, 6.0, 7.0)
"""Quality levels of the validation."""
SHOWN_METRICS = ("ssimulacra2", "ms_ssim", "psnr")
"""Metrics of the validation."""

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
    """Description of the starting weights."""
    photographs: str
    """Digest of the crops."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Values that a checkpoint must agree with to be resumed, by their names in messages."""
        values: dict[str, Any] = {
            "the architecture": self.architecture.id,
            "seed": self.seed,
            "processes": self.processes,
            "start": self.start,
            "the photographs": self.photographs,
        }
        for name, value in asdict(replace(self.recipe, validate_every=1)).items():
            parts = value if isinstance(value, dict) else {"": value}
            values |= {f"recipe.{name}.{part}".rstrip("."): x for part, x in parts.items()}
        return values


@dataclass(frozen=True)
class Data:
    """Data shared by all models of a promotion."""

    training_data: TrainingData
    select: Crops
    """Held-out crops for validation."""
    start: Start
    """Starting weights."""


def train_job(job: Job, data: Data, report: Report) -> None:
    """Train a model to its end, from its checkpoint if one exists, and write the model file.

    Among several processes, only the first writes files. If the driver asks it to stop, it writes a
    checkpoint and no model, and the other processes may wait for it until they are killed. Raises
    CheckpointError for a checkpoint with other settings, TrainingDiverged or NotFinite for numbers
    that are not finite, and OSError if a file cannot be read or written.
    """
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    first = not distributed.is_initialized() or distributed.get_rank() == 0
    if not first:
        _train(_begun(job, data), job, data.select, report, None)
        return
    with stoppable(job.folder) as state:
        training = _begun(job, data)
        # Entries logged after the checkpoint are dropped, because their steps are repeated.
        purged = {"purge_step": training.step + 1} if training.step else {}
        with SummaryWriter(str(job.folder / BOARD), **purged) as board:
            _train(training, job, data.select, report, Files(state, board))
        if training.step == job.recipe.steps:
            _write(training, job)
        else:
            training.save(job.folder / CHECKPOINT, job.fingerprint)


@dataclass(frozen=True)
class Files:
    """What the first process of a training reads and writes while it trains."""

    state: Path
    """File in which the driver asks the training to stop."""
    board: SummaryWriter


def _train(
    training: FullTraining, job: Job, select: Crops, report: Report, files: Files | None
) -> None:
    """Train to the end, or until the driver asks to stop. Only the first process has `files`."""
    steps, saved_at = job.recipe.steps, time.monotonic()
    while training.step < steps and not (files and asked_to_stop(files.state)):
        figures = training.advance()
        validating, next_validates = due(training.step, steps, job.recipe.validate_every)
        if files and validating:
            _validate(training, job, select, files.board)
        late = time.monotonic() - saved_at > SAVE_EVERY_S
        # Saving comes last, so that a kill before it repeats the validation.
        if files and (validating or next_validates or late):
            training.save(job.folder / CHECKPOINT, job.fingerprint)
            saved_at = time.monotonic()
        if training.step % REPORT_EVERY == 0 or training.step == steps:
            if files:
                _log(figures, training.step, files.board)
            report({"step": training.step, "loss": figures["loss"]})


def _begun(job: Job, data: Data) -> FullTraining:
    """A new training, restored from its checkpoint if one exists."""
    codec = new_codec(data.start, job.architecture, job.seed)
    training = FullTraining(codec, job.recipe, data.training_data, job.seed)
    if (job.folder / CHECKPOINT).is_file():
        training.resume(job.folder / CHECKPOINT, job.fingerprint)
    return training


def _log(figures: dict[str, float], step: int, board: SummaryWriter) -> None:
    for name, value in figures.items():
        if np.isfinite(value):
            board.add_scalar(f"training/{name}", value, step)


def _validate(training: FullTraining, job: Job, select: Crops, board: SummaryWriter) -> None:
    """Measure the averaged weights on held-out crops; write a table, a picture and TensorBoard."""
    step = training.step
    curve = measure_curve(training.codec, select, QUALITIES, SHOWN_METRICS)
    append_validation(job.folder / VALIDATION, step, pd.DataFrame({"quality": QUALITIES, **curve}))
    middle = QUALITIES[len(QUALITIES) // 2]
    sample = reconstruct(training.codec, most_detailed(select), middle).pixels
    write_png(sample, job.folder / SAMPLE)
    board.add_image("sample", sample, step, dataformats="HWC")
    for number, quality in enumerate(QUALITIES):
        board.add_scalar(f"bpp/quality {quality:g}", curve["bpp"][number], step)
        for name in SHOWN_METRICS:
            label = find_metric(name).label
            board.add_scalar(f"{label}/quality {quality:g}", curve[name][number], step)


def _write(training: FullTraining, job: Job) -> None:
    losses = pd.DataFrame(training.curve, columns=pd.Index(CURVE)).rename_axis("step")
    write_whole(job.folder / LOSSES, losses.to_csv().encode())
    lambdas = job.recipe.lambda_low, job.recipe.lambda_high
    Model.of(training.codec.eval(), lambdas).save(job.folder / MODEL_FILE)
