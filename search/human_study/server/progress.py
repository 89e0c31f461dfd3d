"""What the organiser is told: progress of participants, and the live ranking."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np
from scipy.stats import norm
from sqlalchemy import select
from sqlalchemy.orm import Session

from search.human_study.answers import CATCH, COMPARISON, TRAINING
from search.human_study.preference import elo
from search.human_study.server.database import Answer, Participant
from search.human_study.server.plates import GREY_KINDS, KINDS
from search.human_study.server.schedule import schedule
from search.human_study.server.session import Sessions

LEVEL = 0.9
"""Probability within the intervals of the ranking."""


def progress(sessions: Sessions) -> dict[str, Any]:
    """Figures of the organiser's page, as JSON."""
    with sessions.database.reading() as session:
        given = _given(session)
        people = list(session.scalars(select(Participant).order_by(Participant.id)))
    by_person: dict[int, list[Answer]] = {person.id: [] for person in people}
    for answer in given:
        by_person[answer.participant_id].append(answer)
    rows = [_person(person, by_person[person.id], sessions.comparisons) for person in people]
    return {
        "answers": sessions.strengths.count(),
        "participants": rows,
        "finished": sum(row["finished"] for row in rows),
        "ranking": ranking(sessions),
    }


def ranking(sessions: Sessions) -> list[dict[str, Any]]:
    """Conditions by falling Elo, each with its LEVEL interval and how often it was shown."""
    posterior = elo(sessions.strengths.posterior())
    half = norm.ppf((1 + LEVEL) / 2) * np.sqrt(np.diag(posterior.covariance))
    shown = sessions.strengths.shown()
    rows = [
        {"condition": label, "elo": mean, "low": mean - width, "high": mean + width, "shown": count}
        for label, mean, width, count in zip(
            sessions.strengths.labels, posterior.mean.tolist(), half.tolist(), shown, strict=True
        )
    ]
    return sorted(rows, key=lambda row: -float(row["elo"]))


def _given(session: Session) -> list[Answer]:
    """All given answers, each participant's in order."""
    query = select(Answer).where(Answer.preferred.is_not(None))
    return list(session.scalars(query.order_by(Answer.participant_id, Answer.number)))


def _person(person: Participant, given: list[Answer], comparisons: int) -> dict[str, Any]:
    """A participant's row."""
    first_time = {answer.id: answer for answer in given}
    repeats = [answer for answer in given if answer.repeat_of]
    same = sum(each.preferred == first_time[str(each.repeat_of)].preferred for each in repeats)
    times = [each.response_ms for each in given if each.response_ms and each.kind == COMPARISON]
    return {
        "number": person.id,
        "joined": person.joined,
        "answered": sum(answer.kind == COMPARISON for answer in given),
        "comparisons": comparisons,
        "finished": len(given) >= len(schedule(person.seed, comparisons)),
        "screen": _share(person.grey_plates, len(GREY_KINDS)),
        "colours": _share(person.colour_plates, len(KINDS) - len(GREY_KINDS)),
        "training": _passed(given, TRAINING),
        "catch": _passed(given, CATCH),
        "repeats": _share(same, len(repeats)),
        "seconds": round(median(times) / 1000, 1) if times else None,
    }


def _passed(given: list[Answer], kind: str) -> str:
    """How many of the trials with a known answer were answered rightly."""
    trials = [answer for answer in given if answer.kind == kind]
    return _share(sum(trial.preferred == 1.0 for trial in trials), len(trials))


def _share(part: int | None, whole: int) -> str:
    return "" if part is None or not whole else f"{part} of {whole}"
