"""The analysis of a study as files: tables, figures and a section for a model card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from latency_predictor.writing import write_whole
from search.human_study.analysis import conditions as conditions_of
from search.human_study.analysis.agreement import agreement, score
from search.human_study.analysis.figures import plot_agreement, plot_elo
from search.human_study.analysis.participants import kept, screen
from search.human_study.analysis.results import Analysis
from search.human_study.analysis.scale import bd_rates, differences, elo_draws, elo_table, number
from search.human_study.analysis.section import section
from search.human_study.answers import COMPARISON, AnswersError, read_answers
from search.human_study.manifest import FILE, Study
from search.human_study.population import sample_population
from search.human_study.preference import PRIOR_STD, FloatArray

SECTION = "people.md"
"""The section for a model card."""


@dataclass(frozen=True)
class Request:
    """What to analyse."""

    answers: Path
    """Folder of a study, folder of exported answers, or CSV file."""
    conditions: Path | None
    """CSV file with codecs and rates of conditions, if `answers` is no study's folder."""
    metrics: tuple[str, ...]
    """Metrics that are compared with people, if the study's pictures are there."""
    out: Path
    exclude: bool
    """Whether participants are excluded by the rules of `participants`."""
    seed: int


def analyse(request: Request, say: Callable[[str], None]) -> Analysis:
    """Analyse a study and write the results to the folder `request.out`.

    `say` is called with a line about what takes long. Raises AnswersError, StudyError, ImageError
    and MetricError.
    """
    answers = read_answers(request.answers)
    if not (answers["kind"] == COMPARISON).any():
        raise AnswersError(
            f"{request.answers}: has no comparisons; expected answers of kind {COMPARISON}"
        )
    folder = request.answers
    study = Study.read(folder) if (folder / FILE).is_file() else None
    known = _conditions(request, study, answers)
    if study:
        conditions_of.check_pictures(answers, study)
    people = screen(answers, list(known["condition"]))
    used = kept(answers, people) if request.exclude else answers
    numbered = number(used, known)
    if not len(numbered.first):
        raise AnswersError(
            f"{request.answers}: all participants are excluded ({_exclusions(people)}); "
            "--keep-all keeps them"
        )
    say(f"{len(numbered.first)} answers")
    codecs = pd.factorize(known["codec"])[0].astype(np.int64)
    rng = np.random.default_rng(request.seed)
    draws = elo_draws(sample_population(numbered, codecs, PRIOR_STD, rng))
    result = Analysis(
        elo_table(draws, known, numbered),
        differences(draws, known),
        bd_rates(draws, known),
        people,
        _metrics(request, study, draws, known, used, say),
        len(numbered.first),
        int(numbered.picture.max()) + 1,
        request.exclude,
    )
    _write(result, request)
    return result


def _exclusions(people: pd.DataFrame) -> str:
    """Why each participant is excluded."""
    return "; ".join(
        f"{row['participant']}: {row['excluded']}" for row in people.to_dict("records")
    )


def _conditions(request: Request, study: Study | None, answers: pd.DataFrame) -> pd.DataFrame:
    """Codecs and rates of the conditions. Raises AnswersError if answers name other ones."""
    if request.conditions:
        known = conditions_of.read_conditions(request.conditions)
    else:
        known = conditions_of.of_study(study) if study else conditions_of.of_answers(answers)
    conditions_of.check_known(answers, known)
    return known


def _metrics(
    request: Request,
    study: Study | None,
    draws: FloatArray,
    known: pd.DataFrame,
    answers: pd.DataFrame,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """Agreement of the metrics with people."""
    if study is None or not request.metrics:
        return pd.DataFrame()
    count = len(study.pictures)
    say(f"{', '.join(request.metrics)} of {count} pictures")
    scores = score(study, request.answers, request.metrics, lambda: None)
    request.out.mkdir(parents=True, exist_ok=True)
    write_whole(request.out / "metric_scores.csv", scores.to_csv(index=False).encode())
    return agreement(scores, draws, known, answers)


def _write(result: Analysis, request: Request) -> None:
    """Write all files of the analysis."""
    request.out.mkdir(parents=True, exist_ok=True)
    tables = {
        "elo": result.conditions,
        "differences": result.differences,
        "bd_rates": result.bd_rates,
        "participants": result.participants,
        "metrics": result.metrics,
    }
    for name, table in tables.items():
        if not table.empty:
            write_whole(request.out / f"{name}.csv", table.to_csv(index=False).encode())
    _save(plot_elo(result.conditions), request.out / "elo.png")
    if not result.metrics.empty:
        _save(plot_agreement(result.metrics), request.out / "metrics.png")
    text = section(result)
    write_whole(request.out / SECTION, text.encode())


def _save(figure: Figure, path: Path) -> None:
    """Save a figure and close it."""
    figure.savefig(path, dpi=150)
    plt.close(figure)
