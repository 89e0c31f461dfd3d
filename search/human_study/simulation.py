"""Simulated studies, which size a study before people are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from latency_predictor.errors import UserError
from search.human_study.analysis.agreement import score
from search.human_study.analysis.conditions import of_study
from search.human_study.analysis.scale import TAILS, bd_rates, differences, elo_draws
from search.human_study.answers import COMPARISON, write_answers
from search.human_study.manifest import Study
from search.human_study.observers import Observers, simulate
from search.human_study.population import Answers, sample_population
from search.human_study.preference import ELO_PER_LOG_ODDS, PRIOR_STD, FloatArray

SPREAD = 2.1
"""Standard deviation, in log odds, of the strengths of the conditions where none is given: that of
the 31 JPEG settings of mucped23."""
STEPS = (0.25, 0.5, 0.75, 1.0)
"""Shares of the participants after which the widths of intervals are computed."""


class SimulationError(UserError):
    """A study cannot be simulated as asked."""


@dataclass(frozen=True)
class Request:
    """What to simulate."""

    study: Path
    participants: int
    answers: int
    """Answers per participant."""
    metric: str
    """Metric by which participants answer, unless there is a table of strengths."""
    strengths: Path | None
    """CSV file with the columns condition and elo, as `study analyse` writes them."""
    noise: float | None
    """Units of the metric, or Elo points, that change the odds of an answer by a factor of e."""
    picture_std: float
    """Standard deviation of a condition's strength over pictures, in log odds, if answers follow
    a table."""
    sensitivity_std: float
    """Standard deviation over participants of the factor of their log odds."""
    lapses: float
    seed: int
    out: Path


def simulate_study(request: Request, say: Callable[[str], None]) -> pd.DataFrame:
    """Simulate a study with random and with active pairs, and write both as exported answers.

    Returns the mean widths of the 90 % intervals after some numbers of answers: columns answers,
    pairs, elo, difference and bd_rate_percent. `say` is called with a line about what takes long.
    Raises SimulationError, StudyError, ImageError and MetricError.
    """
    study = Study.read(request.study)
    possible = len(study.pictures) * len(study.conditions) * (len(study.conditions) - 1) // 2
    if request.answers > possible:
        raise SimulationError(
            f"--answers {request.answers}: a participant can be asked {possible} different "
            f"questions of {request.study}; expected at most that"
        )
    observers = Observers(
        study.conditions, _strengths(request, study, say), request.sensitivity_std,
        lapses=request.lapses,
    )  # fmt: skip
    rows: list[dict[str, object]] = []
    for active in (False, True):
        pairs = "active" if active else "random"
        rng = np.random.default_rng(request.seed)
        answers = simulate(observers, request.participants, request.answers, active, rng)
        folder = request.out / pairs
        folder.mkdir(parents=True, exist_ok=True)
        write_answers(folder / "answers.csv", as_table(answers, study))
        say(f"intervals of {pairs} pairs")
        rows += [{"pairs": pairs, **widths} for widths in _widths(answers, study, request)]
    return pd.DataFrame(rows)


def as_table(answers: Answers, study: Study) -> pd.DataFrame:
    """Answers of simulated participants as `read_answers` returns them."""
    labels = np.array([condition.label for condition in study.conditions])
    return pd.DataFrame(
        {
            "participant": [f"simulated-{number}" for number in answers.participant],
            "picture": np.array([picture.id for picture in study.pictures])[answers.picture],
            "first": labels[answers.first],
            "second": labels[answers.second],
            "preferred": answers.preferred,
            "kind": COMPARISON,
            "repeat_of": pd.NA,
            "response_ms": pd.NA,
            "answered": "",
        }
    )


def _strengths(request: Request, study: Study, say: Callable[[str], None]) -> FloatArray:
    """Strengths [pictures, items] by the table or the metric, in log odds."""
    labels = [condition.label for condition in study.conditions]
    if request.strengths:
        elo = _read_strengths(request.strengths, labels)
        rng = np.random.default_rng([request.seed, 1])
        shape = (len(study.pictures), len(labels))
        return elo / (request.noise or ELO_PER_LOG_ODDS) + rng.normal(0, request.picture_std, shape)
    say(f"{request.metric} of {len(study.pictures)} pictures")
    table = score(study, request.study, [request.metric], lambda: None)
    quality = table.pivot(index="picture", columns="condition", values=request.metric)[labels]
    values = quality.loc[[picture.id for picture in study.pictures]].to_numpy()
    return values / (request.noise or values.mean(axis=0).std() / SPREAD)


def _read_strengths(path: Path, labels: list[str]) -> FloatArray:
    """Elo [items] of a CSV file. Raises SimulationError if a condition is missing."""
    try:
        table = pd.read_csv(path).set_index("condition")["elo"].astype("float64")
        return table.loc[labels].to_numpy()
    except (OSError, ValueError, KeyError) as error:
        raise SimulationError(
            f"{path}: expected a CSV file with the columns condition and elo, and a row for each "
            f"of {', '.join(labels)}"
        ) from error


def _widths(answers: Answers, study: Study, request: Request) -> Iterator[dict[str, object]]:
    """Mean widths of intervals after each of the STEPS."""
    conditions = of_study(study)
    codecs = pd.factorize(conditions["codec"])[0].astype(np.int64)
    for participants in sorted({max(1, round(step * request.participants)) for step in STEPS}):
        part = answers.participant < participants
        given = Answers(*(values[part] for values in vars(answers).values()))
        rng = np.random.default_rng(request.seed)
        draws = elo_draws(sample_population(given, codecs, PRIOR_STD, rng))
        low, high = np.quantile(draws, TAILS, axis=0)
        gaps, rates = differences(draws, conditions), bd_rates(draws, conditions)
        yield {
            "answers": int(part.sum()),
            "elo": float((high - low).mean()),
            "difference": float((gaps["high"] - gaps["low"]).mean()),
            "bd_rate_percent": float((rates["high"] - rates["low"]).mean()),
        }
