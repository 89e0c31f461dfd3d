"""What a participant sees next, and the recording of what the participant answers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from search.human_study.answers import COMPARISON, TRAINING
from search.human_study.manifest import Picture, Study
from search.human_study.server.choice import choose
from search.human_study.server.database import (
    ORIGINAL,
    SPOILT,
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
    _ids: dict[str, int] = field(default_factory=dict)
    """Ids of participants who were found, by the hashes of their tokens."""
    _files: dict[int, dict[str, str]] = field(default_factory=dict)
    """For each participant's trial that was shown last, the files by their names in addresses."""

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
        hashed, seed, joined = token_hash(token), secrets.randbits(31), now()
        self.database.write(
            lambda session: session.add(Participant(token_hash=hashed, seed=seed, joined=joined))
        )
        return token

    def known(self, token: str) -> int | None:
        """The id of the participant with a token, if it was found before. It does not wait."""
        return self._ids.get(token_hash(token))

    def find(self, token: str) -> int | None:
        """The id of the participant with a token, or None."""
        hashed = token_hash(token)
        if hashed not in self._ids:
            with self.database.reading() as session:
                query = select(Participant.id).where(Participant.token_hash == hashed)
                found = session.scalar(query)
            if found is None:
                return None
            self._ids[hashed] = found
        return self._ids[hashed]

    def state(self, participant_id: int) -> State:
        """What the participant sees now. A trial is in the database before it is returned."""
        with self.database.reading() as session:
            participant = session.get_one(Participant, participant_id)
            state = self._check(participant) or self._pending(session, participant)
        return state or self.database.write(
            lambda session: self._next(session, session.get_one(Participant, participant_id))
        )

    def check_screen(self, participant_id: int, pixel_ratio: float, fits: int) -> State:
        """Record the check of the screen; return the next state."""

        def change(session: Session) -> State:
            participant = session.get_one(Participant, participant_id)
            participant.pixel_ratio, participant.fits = pixel_ratio, fits
            return self._next(session, participant)

        return self.database.write(change)

    def check_plates(self, participant_id: int, read: list[str]) -> State:
        """Record how many plates were read, at the first try; return the next state."""

        def change(session: Session) -> State:
            participant = session.get_one(Participant, participant_id)
            if participant.grey_plates is None and participant.pixel_ratio is not None:
                right = {
                    kind: text.strip() == str(plate_number(participant, kind))
                    for kind, text in zip(KINDS, read, strict=True)
                }
                participant.grey_plates = sum(right[kind] for kind in GREY_KINDS)
                participant.colour_plates = sum(right.values()) - participant.grey_plates
            return self._next(session, participant)

        return self.database.write(change)

    def answer(
        self, participant_id: int, trial: str, left_preferred: bool, response_ms: int
    ) -> State:
        """Record an answer, once: a trial that is answered keeps its answer.

        Returns the next state, with `right` if the trial was one of training. Raises UnknownTrial
        if the trial is not the participant's.
        """

        def change(session: Session) -> tuple[Answer, bool, State]:
            answer = session.get(Answer, trial)
            if answer is None or answer.participant_id != participant_id:
                raise UnknownTrial
            pending = answer.preferred is None
            if pending:
                answer.preferred = float(left_preferred == answer.first_on_left)
                answer.response_ms, answer.answered = response_ms, now()
                session.flush()
            state = self._next(session, session.get_one(Participant, participant_id))
            return answer, pending, state

        answer, added, state = self.database.write(change)
        if added and answer.kind == COMPARISON:
            self.strengths.add(answer)
        if answer.kind == TRAINING:
            state["right"] = answer.preferred == 1.0
        return state

    def picture_file(self, participant_id: int, name: str) -> str | None:
        """Path within the study's folder of a picture of the pending trial, by its name.

        None if no picture of this trial has the name.
        """
        if participant_id not in self._files:
            self.state(participant_id)
        return self._files.get(participant_id, {}).get(name)

    def plate_shown(self, participant_id: int, name: str) -> tuple[str, int] | None:
        """Kind and number of the participant's plate with a name; None if there is none."""
        with self.database.reading() as session:
            participant = session.get_one(Participant, participant_id)
            for kind in KINDS:
                if secrets.compare_digest(self.plate(participant, kind).encode(), name.encode()):
                    return kind, plate_number(participant, kind)
        return None

    def plate(self, participant: Participant, kind: str) -> str:
        """Name of a participant's plate in addresses."""
        return self.keys.picture(f"participant {participant.id}", kind)

    def _check(self, participant: Participant) -> State | None:
        """The check that the participant has still to pass, or None."""
        if participant.pixel_ratio is None:
            size = self.study.device_pixel
            return {"stage": "screen", "size": [size.width, size.height]}
        if participant.grey_plates is None:
            return {"stage": "plates", "plates": [self.plate(participant, k) for k in KINDS]}
        return None

    def _pending(self, session: Session, participant: Participant) -> State | None:
        """The trial that was shown and not answered yet, or None."""
        query = select(Answer).where(
            Answer.participant_id == participant.id, Answer.preferred.is_(None)
        )
        trial = session.scalar(query)
        return self._trial(participant, trial) if trial else None

    def _next(self, session: Session, participant: Participant) -> State:
        """The check or the pending trial, else the next trial, which is stored, or the end."""
        if state := self._check(participant) or self._pending(session, participant):
            return state
        kinds = schedule(participant.seed, self.comparisons)
        query = select(Answer).where(Answer.participant_id == participant.id)
        done = list(session.scalars(query.order_by(Answer.number)))
        if len(done) >= len(kinds):
            self._files.pop(participant.id, None)
            return {"stage": "done"}
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
        names = {role: self.keys.picture(trial.id, role) for role in ROLES}
        self._files[participant.id] = {names[role]: self._file(trial, role) for role in ROLES}
        return {
            "stage": "training" if training else "comparison",
            "trial": trial.id,
            "number": trial.number + 1 - (0 if training else TRAINING_TRIALS),
            "total": TRAINING_TRIALS if training else total,
            "size": [size.width, size.height],
            "pictures": names,
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
