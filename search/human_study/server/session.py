"""What a participant sees next, and the recording of what the participant answers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from search.human_study.manifest import Picture, Study
from search.human_study.server.choice import choose
from search.human_study.server.database import (
    COMPARISON,
    ORIGINAL,
    SPOILT,
    TRAINING,
    Answer,
    Database,
    Participant,
    answers,
    now,
)
from search.human_study.server.keys import Keys, new_token, token_hash
from search.human_study.server.plates import GREY_KINDS, KINDS, NUMBERS
from search.human_study.server.schedule import TRAINING_TRIALS, schedule
from search.human_study.server.strengths import Strengths

REFERENCE, LEFT, RIGHT = "original", "left", "right"
ROLES = (REFERENCE, LEFT, RIGHT)
"""Roles of the pictures of a trial."""
State = dict[str, Any]
"""What the page of a participant is told, as JSON."""


class UnknownTrial(LookupError):
    """The participant has no such trial."""


@dataclass(frozen=True)
class Sessions:
    """The sessions of all participants of a study. Threads may share it."""

    study: Study
    database: Database
    keys: Keys
    strengths: Strengths
    comparisons: int
    """Number of comparisons that each participant is asked for."""

    @classmethod
    def of(cls, study: Study, database: Database, keys: Keys, comparisons: int) -> Sessions:
        """Sessions that continue with the answers in the database."""
        with database.reading() as session:
            strengths = Strengths(study, answers(session, COMPARISON))
        # No participant is asked the same twice, apart from repetitions.
        most = len(strengths.pairs) * len(study.pictures)
        return cls(study, database, keys, strengths, min(comparisons, most))

    def join(self) -> str:
        """Add a participant; return the token of the link."""
        token = new_token()
        with self.database.writing() as session:
            session.add(
                Participant(token_hash=token_hash(token), seed=secrets.randbits(31), joined=now())
            )
        return token

    def find(self, token: str) -> int | None:
        """The id of the participant with a token, or None."""
        with self.database.reading() as session:
            query = select(Participant.id).where(Participant.token_hash == token_hash(token))
            return session.scalar(query)

    def state(self, participant_id: int) -> State:
        """What the participant sees now. A trial is in the database before it is returned."""
        with self.database.reading() as session:
            participant = session.get_one(Participant, participant_id)
            if participant.pixel_ratio is None:
                size = self.study.device_pixel
                return {"stage": "screen", "size": [size.width, size.height]}
            if participant.grey_plates is None:
                return {"stage": "plates", "plates": [self.plate(participant, k) for k in KINDS]}
            if pending := _pending(session, participant):
                return self._trial(participant, pending)
        with self.database.writing() as session:
            return self._current(session, session.get_one(Participant, participant_id))

    def check_screen(self, participant_id: int, pixel_ratio: float, fits: int) -> State:
        """Record the check of the screen; return the next state."""
        with self.database.writing() as session:
            participant = session.get_one(Participant, participant_id)
            participant.pixel_ratio, participant.fits = pixel_ratio, fits
        return self.state(participant_id)

    def check_plates(self, participant_id: int, read: list[str]) -> State:
        """Record how many plates were read, at the first try; return the next state."""
        with self.database.writing() as session:
            participant = session.get_one(Participant, participant_id)
            if participant.grey_plates is None and participant.pixel_ratio is not None:
                right = {
                    kind: text.strip() == str(plate_number(participant, kind))
                    for kind, text in zip(KINDS, read, strict=True)
                }
                participant.grey_plates = sum(right[kind] for kind in GREY_KINDS)
                participant.colour_plates = sum(right.values()) - participant.grey_plates
        return self.state(participant_id)

    def answer(
        self, participant_id: int, trial: str, left_preferred: bool, response_ms: int
    ) -> State:
        """Record an answer, once: a trial that is answered keeps its answer.

        Returns the next state, with `right` if the trial was one of training. Raises UnknownTrial
        if the trial is not the participant's.
        """
        with self.database.writing() as session:
            answer = session.get(Answer, trial)
            if answer is None or answer.participant_id != participant_id:
                raise UnknownTrial
            participant = session.get_one(Participant, participant_id)
            added = answer.preferred is None
            if added:
                answer.preferred = float(left_preferred == answer.first_on_left)
                answer.response_ms, answer.answered = response_ms, now()
                session.flush()
            state = self._current(session, participant)
        if added and answer.kind == COMPARISON:
            self.strengths.add(answer)
        if answer.kind == TRAINING:
            state["right"] = answer.preferred == 1.0
        return state

    def picture_file(self, participant_id: int, name: str) -> str | None:
        """Path within the study's folder of a picture of the pending trial, by its name.

        None if no picture of this trial has the name.
        """
        with self.database.reading() as session:
            participant = session.get_one(Participant, participant_id)
            pending = _pending(session, participant)
            if pending is None:
                return None
            for role in ROLES:
                if secrets.compare_digest(self.keys.picture(pending.id, role), name):
                    return self._file(pending, role)
        return None

    def plate_shown(self, participant_id: int, name: str) -> tuple[str, int] | None:
        """Kind and number of the participant's plate with a name; None if there is none."""
        with self.database.reading() as session:
            participant = session.get_one(Participant, participant_id)
            for kind in KINDS:
                if secrets.compare_digest(self.plate(participant, kind), name):
                    return kind, plate_number(participant, kind)
        return None

    def plate(self, participant: Participant, kind: str) -> str:
        """Name of a participant's plate in addresses."""
        return self.keys.picture(f"participant {participant.id}", kind)

    def _current(self, session: Session, participant: Participant) -> State:
        """The pending trial, or the next one, which is stored, or the end of the session."""
        if pending := _pending(session, participant):
            return self._trial(participant, pending)
        kinds = schedule(participant.seed, self.comparisons)
        query = select(Answer).where(Answer.participant_id == participant.id)
        done = list(session.scalars(query.order_by(Answer.number)))
        if len(done) >= len(kinds):
            return {"stage": "done", "answered": len(done) - TRAINING_TRIALS}
        trial = choose(kinds[len(done)], done, self.study, self.strengths)
        trial.id, trial.participant_id, trial.number = new_token(), participant.id, len(done)
        session.add(trial)
        session.flush()
        return self._trial(participant, trial)

    def _trial(self, participant: Participant, trial: Answer) -> State:
        """A trial as the page shows it. Catch trials look like all others."""
        training = trial.kind == TRAINING
        total = len(schedule(participant.seed, self.comparisons)) - TRAINING_TRIALS
        size = self.study.device_pixel
        return {
            "stage": "training" if training else "comparison",
            "trial": trial.id,
            "number": trial.number + 1 - (0 if training else TRAINING_TRIALS),
            "total": TRAINING_TRIALS if training else total,
            "size": [size.width, size.height],
            "pictures": {role: self.keys.picture(trial.id, role) for role in ROLES},
        }

    def _file(self, trial: Answer, role: str) -> str:
        """Path within the study's folder of a picture of a trial."""
        picture = next(each for each in self.study.pictures if each.id == trial.picture)
        if role == REFERENCE:
            return picture.original
        label = trial.first if (role == LEFT) == trial.first_on_left else trial.second
        if label in (ORIGINAL, SPOILT):
            return picture.original if label == ORIGINAL else spoilt(picture)
        return picture.shown()[label].file


def plate_number(participant: Participant, kind: str) -> int:
    """The number that a participant's plate of a kind shows."""
    rng = np.random.default_rng([participant.seed, KINDS.index(kind)])
    return int(rng.choice(NUMBERS))


def spoilt(picture: Picture) -> str:
    """Path of a picture with an obvious loss. The server checks that every picture has one."""
    assert picture.catch is not None
    return picture.catch


def _pending(session: Session, participant: Participant) -> Answer | None:
    query = select(Answer).where(
        Answer.participant_id == participant.id, Answer.preferred.is_(None)
    )
    return session.scalar(query)
