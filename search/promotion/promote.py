"""`python -m search promote`: candidates of a run to trained models with their cards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from filelock import FileLock, Timeout
from rich.console import Console

from search import checkpoint
from search.config import ConfigError
from search.photographs import CROP_CACHE, Photographs, load_photographs
from search.promotion.card import PICTURES, Card, write_card
from search.promotion.cluster import train_all
from search.promotion.loop import Lessons
from search.promotion.pictures import draw
from search.promotion.recipe import Promotion, check
from search.promotion.shortlist import Wish, chosen, find_run, trials_of
from search.promotion.start import find_start
from search.promotion.text_mask import masks_of
from search.promotion.trial import CHECKPOINT, Data, Job
from search.records import RunRecord
from space.architecture import Architecture
from space.model import Model

FOLDER = "promoted"
"""Below a run: a folder per model."""


class PromotionFailed(RuntimeError):
    """Models whose training did not end; the others have their cards."""


def promote(run: str, wish: Wish, promotion: Promotion, console: Console) -> list[Path]:
    """Train the candidates of a run that are wished for to the end; the models' folders.

    What was begun with the same settings goes on. Raises errors whose message is meant for the
    user: CheckpointError, ConfigError, DataError, ParentError, PromotionFailed, RecordError.
    """
    check(promotion)
    folder = find_run(run)
    record = RunRecord.read(folder)
    candidates = chosen(wish, trials_of(folder), record)
    name = promotion.name or promotion.recipe.name
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"name={name}: expected letters, digits, dots, dashes and underscores")
    cache = folder.parent / CROP_CACHE
    with console.status("Reading the photographs"):
        photographs = load_photographs(**vars(promotion.data), cache=cache)
    start, started = find_start(promotion.start, folder, photographs.train)
    jobs = [
        Job(
            architecture=Architecture.from_json(row["architecture"]),
            folder=(folder / FOLDER / f"{row['id']}-{name}").resolve(),
            recipe=promotion.recipe,
            seed=promotion.seed,
            processes=promotion.processes,
            start=started,
            photographs=photographs.digest,
        )
        for row in candidates.to_dict("records")
    ]
    _tell(jobs, photographs, started, console)
    with console.status("Looking for text"):
        lessons = _lessons(promotion, photographs, cache)
    with ExitStack() as held:
        for job in jobs:
            held.enter_context(_alone(job))
        _begin(jobs, candidates, record)
        failed = train_all(jobs, Data(lessons, photographs.select, start), promotion, console)
        trained = [job for job in jobs if job.folder.name not in failed]
        for job in trained:
            _finish(job, photographs)
    if failed:
        reasons = (f"{name}: {reason}" for name, reason in failed.items())
        raise PromotionFailed("\n".join(["These models were not trained to the end:", *reasons]))
    return [job.folder for job in trained]


@contextmanager
def _alone(job: Job) -> Iterator[None]:
    """Keep other processes from a model's folder. Raises ConfigError where one is there."""
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(job.folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ConfigError(f"{job.folder} is being trained by another process") from None


def _finish(job: Job, photographs: Photographs) -> None:
    """Pictures and the card of a trained model."""
    figure = draw(Model.load(job.folder), photographs.report)
    if figure:
        figure.savefig(job.folder / PICTURES, dpi=100)
        plt.close(figure)
    write_card(job.folder)


def _tell(jobs: Sequence[Job], photographs: Photographs, started: str, console: Console) -> None:
    recipe = jobs[0].recipe
    console.print(
        f"{len(jobs)} of the candidates, from {started}, for {recipe.mse.steps} steps by the first "
        f"loss and {recipe.perceptual.steps} by the second, on {len(photographs.train)} crops of "
        f"{photographs.used} photographs.",
        highlight=False,
    )


def _lessons(promotion: Promotion, photographs: Photographs, cache: Path) -> Lessons:
    """Crops, and masks of text where a phase needs them."""
    phases = promotion.recipe.phases
    if not any(phase.steps and phase.text for phase in phases):
        return Lessons(photographs.train, None)
    return Lessons(photographs.train, masks_of(photographs.train, cache))


def _begin(jobs: Sequence[Job], candidates: pd.DataFrame, record: RunRecord) -> None:
    """Write what is known of each model; what was begun otherwise is refused before any work."""
    for job in jobs:
        if (job.folder / CHECKPOINT).is_file():
            checkpoint.load(job.folder / CHECKPOINT, job.about, "name=NAME")
    for job, row in zip(jobs, candidates.to_dict("records"), strict=True):
        Card.of(row, record, asdict(job.recipe), job.start, job.seed).write(job.folder)
