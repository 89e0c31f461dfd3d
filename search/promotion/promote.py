"""`python -m search promote`: candidates of a run to trained models with their cards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import yaml
from filelock import FileLock, Timeout
from rich.console import Console

from search import checkpoint
from search.checks import CONFIG_FILE
from search.config import ConfigError
from search.photographs import CROP_CACHE, Photographs, load_photographs
from search.promotion.card import PICTURES, README, Card, write_card
from search.promotion.cluster import train_all
from search.promotion.loop import Lessons
from search.promotion.pictures import draw
from search.promotion.recipe import Promotion, check
from search.promotion.shortlist import Wish, chosen, find_run, trials_of
from search.promotion.start import Promoted, find_start
from search.promotion.text_mask import TextDetector, masks_of
from search.promotion.trial import CHECKPOINT, Data, Job
from search.records import RunRecord
from space.architecture import Architecture
from space.model import FILE, Model

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
    if promotion.recipe.masked:
        # Said before minutes of cutting crops, where it is not installed.
        TextDetector()
    cache = folder.parent / CROP_CACHE
    with console.status("Reading the photographs"):
        photographs = _photographs(promotion, folder, cache)
    start, started = find_start(promotion.start, folder, photographs.train)
    jobs = _jobs(promotion, folder, candidates, started, photographs)
    if isinstance(start, Promoted):
        for job in jobs:
            start.start(job.architecture)
    with console.status("Looking for text"):
        data = Data(_lessons(promotion, photographs, cache), photographs.select, start)
    with ExitStack() as held:
        for job in jobs:
            held.enter_context(_alone(job))
        left = _begin(jobs, candidates, record)
        _tell(jobs, left, photographs, console)
        failed = train_all(left, data, promotion, console) if left else {}
        for job in left:
            if job.folder.name not in failed:
                _finish(job, photographs)
    if failed:
        reasons = (f"{name}: {reason}" for name, reason in failed.items())
        raise PromotionFailed("\n".join(["These models were not trained to the end:", *reasons]))
    return [job.folder for job in jobs]


def _photographs(promotion: Promotion, run: Path, cache: Path) -> Photographs:
    """Those that the user names, else those of the run."""
    data = promotion.data
    config = run / CONFIG_FILE
    of_run = yaml.safe_load(config.read_text())["data"]["root"] if config.is_file() else None
    return load_photographs(
        data.root or of_run, data.max_photographs, promotion.recipe.crops, data.select_crops, cache
    )


def _jobs(
    promotion: Promotion,
    run: Path,
    candidates: pd.DataFrame,
    started: str,
    photographs: Photographs,
) -> list[Job]:
    """A job per candidate. Raises ConfigError for a name that makes no folder."""
    name = promotion.name or promotion.recipe.name
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"name={name}: expected letters, digits, dots, dashes and underscores")
    return [
        Job(
            architecture=Architecture.from_json(row["architecture"]),
            folder=(run / FOLDER / f"{row['id']}-{name}").resolve(),
            recipe=promotion.recipe,
            seed=promotion.seed,
            processes=promotion.processes,
            start=started,
            photographs=photographs.digest,
        )
        for row in candidates.to_dict("records")
    ]


def _lessons(promotion: Promotion, photographs: Photographs, cache: Path) -> Lessons:
    """Crops, and masks of text where a phase needs them."""
    if not promotion.recipe.masked:
        return Lessons(photographs.train, None)
    return Lessons(photographs.train, masks_of(photographs.train, cache))


@contextmanager
def _alone(job: Job) -> Iterator[None]:
    """Keep other processes from a model's folder. Raises ConfigError where one is there."""
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(job.folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ConfigError(f"{job.folder} is being trained by another process") from None


def _begin(jobs: Sequence[Job], candidates: pd.DataFrame, record: RunRecord) -> list[Job]:
    """Write what is known of each model; those that are not yet trained to the end.

    What was begun otherwise is refused before any work.
    """
    left = []
    for job in jobs:
        path = job.folder / CHECKPOINT
        step = checkpoint.load(path, job.about, "name=NAME")[0]["step"] if path.is_file() else 0
        written = all((job.folder / name).is_file() for name in (FILE, README))
        if step < job.recipe.steps or not written:
            left.append(job)
    for job, row in zip(jobs, candidates.to_dict("records"), strict=True):
        Card.of(row, record, asdict(job.recipe), job.start, job.seed).write(job.folder)
    return left


def _tell(
    jobs: Sequence[Job], left: Sequence[Job], photographs: Photographs, console: Console
) -> None:
    for job in jobs:
        if job not in left:
            console.print(f"{job.folder.name} is trained already.", highlight=False)
    if left:
        recipe = left[0].recipe
        console.print(
            f"{len(left)} to train, from {left[0].start}: {recipe.mse.steps} steps by the first "
            f"loss and {recipe.perceptual.steps} by the second, on {len(photographs.train)} crops; "
            f"of {photographs.used} photographs some are held out.",
            highlight=False,
        )


def _finish(job: Job, photographs: Photographs) -> None:
    """Pictures and the card of a trained model."""
    figure = draw(Model.load(job.folder), photographs.report)
    if figure:
        figure.savefig(job.folder / PICTURES, dpi=100)
        plt.close(figure)
    write_card(job.folder)
