"""The command `promote`: full training of a run's candidates into models with cards."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from rich.console import Console

from latency_predictor.errors import UserError
from latency_predictor.writing import write_whole
from search.config.checks import CONFIG_FILE, check_name, read_config
from search.data.photographs import CROP_CACHE, Photographs, load_photographs
from search.data.text_mask import TextDetector, masks_of
from search.promotion.card import PICTURES, README, Card, write_card
from search.promotion.cluster import train_all
from search.promotion.pictures import draw
from search.promotion.recipe import Promotion, check
from search.promotion.shortlist import Selection, chosen, trials_of
from search.promotion.start import Promoted, find_start
from search.promotion.trial import CHECKPOINT, Data, Job
from search.study.folders import locked
from search.study.objectives import BD_RATE
from search.study.records import RunRecord
from search.training import checkpoint
from search.training.full import TrainingData
from space.architecture import Architecture
from space.bitstream.model_file import MODEL_FILE, Model

PROMOTED_FOLDER = "promoted"
"""Folder below a run that has one folder per promoted model."""


class PromotionFailed(UserError):
    """Some models could not be trained to the end; the others are complete."""


def promote(
    folder: Path, selection: Selection, promotion: Promotion, console: Console
) -> list[Path]:
    """Train the selected candidates of the run in a folder; return the folders of the models.

    Interrupted trainings with the same settings are continued. Raises errors whose messages are
    meant for the user: CheckpointError, ConfigError, DataError, SupernetError, PromotionFailed,
    RecordError.
    """
    check(promotion)
    record = RunRecord.read(folder)
    candidates = chosen(selection, trials_of(folder), record)
    if promotion.recipe.masked:
        # If it is not installed, fail before the crops are cut, which takes minutes.
        TextDetector()
    cache = folder.parent / CROP_CACHE
    with console.status("Reading the photographs"):
        photographs = _photographs(promotion, folder, cache)
    for notice in photographs.notices:
        console.print(notice, style="yellow", highlight=False, markup=False)
    start, description = find_start(promotion.start, folder, photographs.train)
    jobs = _jobs(promotion, folder, candidates, description, photographs)
    if isinstance(start, Promoted):
        for job in jobs:
            start.start(job.architecture)
    with console.status("Detecting text"):
        data = Data(_training_data(promotion, photographs, cache), photographs.select, start)
    with ExitStack() as held:
        for job in jobs:
            held.enter_context(
                locked(job.folder, f"{job.folder} is being trained by another process")
            )
        pending = _begin(jobs, candidates, record)
        _announce(jobs, pending, candidates, photographs, console)
        failed = train_all(pending, data, promotion, console) if pending else {}
        for job in pending:
            if job.folder.name not in failed:
                _finish(job, photographs)
    if failed:
        reasons = (f"{name}: {reason}" for name, reason in failed.items())
        raise PromotionFailed(f"training failed for these models: {'; '.join(reasons)}")
    return [job.folder for job in jobs]


def _photographs(promotion: Promotion, run: Path, cache: Path) -> Photographs:
    """The photographs in `data.root` if it is set, or else those of the run."""
    data = promotion.data
    of_run = read_config(run)["data"]["root"] if (run / CONFIG_FILE).is_file() else None
    return load_photographs(
        data.root or of_run, data.max_photographs, promotion.recipe.crops, data.select_crops, cache
    )


def _jobs(
    promotion: Promotion,
    run: Path,
    candidates: pd.DataFrame,
    start: str,
    photographs: Photographs,
) -> list[Job]:
    """One job per candidate. Raises ConfigError if the name is not valid for a folder."""
    name = promotion.name or promotion.recipe.name
    check_name("name", name)
    return [
        Job(
            architecture=Architecture.from_json(row["architecture"]),
            folder=(run / PROMOTED_FOLDER / f"{row['id']}-{name}").resolve(),
            recipe=promotion.recipe,
            seed=promotion.seed,
            processes=promotion.processes,
            start=start,
            photographs=photographs.digest,
        )
        for row in candidates.to_dict("records")
    ]


def _training_data(promotion: Promotion, photographs: Photographs, cache: Path) -> TrainingData:
    """Training crops, and text masks if a phase needs them."""
    if not promotion.recipe.masked:
        return TrainingData(photographs.train, None)
    return TrainingData(photographs.train, masks_of(photographs.train, cache))


def _begin(jobs: Sequence[Job], candidates: pd.DataFrame, record: RunRecord) -> list[Job]:
    """Write the card file of each model; return the jobs that are not complete yet.

    Raises CheckpointError before any training if a checkpoint has other settings.
    """
    pending = []
    for job in jobs:
        path, step = job.folder / CHECKPOINT, 0
        if path.is_file():
            step = checkpoint.load(path, job.fingerprint, "name=NAME")[0]["step"]
        written = all((job.folder / name).is_file() for name in (MODEL_FILE, README))
        if step < job.recipe.steps or not written:
            pending.append(job)
    for job, row in zip(jobs, candidates.to_dict("records"), strict=True):
        Card.of(row, record, asdict(job.recipe), job.start, job.seed).write(job.folder)
    return pending


def _announce(
    jobs: Sequence[Job],
    pending: Sequence[Job],
    candidates: pd.DataFrame,
    photographs: Photographs,
    console: Console,
) -> None:
    """Print what was chosen, with its figures in the search, and what will be trained."""
    for job, row in zip(jobs, candidates.to_dict("records"), strict=True):
        said = "to be trained" if job in pending else "already trained"
        rate = "none" if pd.isna(row[BD_RATE]) else f"{row[BD_RATE]:+z.1f} %"
        console.print(
            f"{job.folder.name}: {said}; in the search, BD-rate {rate} and "
            f"{row['decode_ms']:.1f} ms to decode.",
            highlight=False,
        )
    if pending:
        recipe = pending[0].recipe
        models = "1 model" if len(pending) == 1 else f"{len(pending)} models"
        console.print(
            f"Training {models} from {pending[0].start}: {recipe.mse.steps} steps of "
            f"the MSE phase and {recipe.perceptual.steps} of the perceptual phase, on "
            f"{len(photographs.train)} crops. Some of the {photographs.used} photographs are held "
            "out.",
            highlight=False,
        )


def _finish(job: Job, photographs: Photographs) -> None:
    """Write the pictures and the card of a trained model."""
    figure = draw(Model.load(job.folder), photographs.report)
    if figure:
        file = BytesIO()
        figure.savefig(file, format="png", dpi=100)
        plt.close(figure)
        write_whole(job.folder / PICTURES, file.getvalue())
    write_card(job.folder)
