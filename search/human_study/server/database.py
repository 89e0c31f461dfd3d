"""The database of a study: participants and answers, in one file of SQLite.

An answer is a row from the moment at which its trial is chosen; until it is given, `preferred` is
null. Every change is on the disk before the browser is told of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    ForeignKey,
    Index,
    UniqueConstraint,
    create_engine,
    event,
    select,
)
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from search.human_study.answers import DATABASE
from search.human_study.manifest import StudyError

T = TypeVar("T")
Change = Callable[[Session], T]
"""A change of the database within a session, and its result."""
ORIGINAL, SPOILT = "original", "catch"
"""What training and catch trials compare, in place of the labels of conditions."""


class Base(DeclarativeBase):
    """Base class of the tables."""


class Participant(Base):
    """A person who takes part, known by a random link alone."""

    __tablename__ = "participant"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    """SHA-256 of the link's token. The token itself is not stored."""
    seed: Mapped[int]
    """Seed of the order of kinds of trials, and of the plates."""
    joined: Mapped[str]
    """Time in UTC, ISO 8601."""
    pixel_ratio: Mapped[float | None]
    """Device pixels per CSS pixel when the screen was checked; None before that."""
    fits: Mapped[int | None]
    """Number of pictures that fit side by side: 0, 1 or 2."""
    grey_plates: Mapped[int | None]
    """Number of the plates in steps of grey that were read; None before that."""
    colour_plates: Mapped[int | None]
    """Number of the plates in colours that were read; None before that."""


class Answer(Base):
    """A trial, and the answer once it is given."""

    __tablename__ = "answer"
    __table_args__ = (
        UniqueConstraint("participant_id", "number"),
        Index(
            "one_pending_trial",
            "participant_id",
            unique=True,
            sqlite_where=mapped_column("preferred").column.is_(None),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    """Random, so that it cannot be guessed."""
    participant_id: Mapped[int] = mapped_column(ForeignKey("participant.id"))
    number: Mapped[int]
    """Place in the participant's session, from 0."""
    kind: Mapped[str]
    """COMPARISON, TRAINING or CATCH of `search.human_study.answers`."""
    picture: Mapped[str]
    first: Mapped[str]
    """Label of a condition, or ORIGINAL."""
    second: Mapped[str]
    """Label of a condition, or SPOILT."""
    first_on_left: Mapped[bool]
    repeat_of: Mapped[str | None] = mapped_column(ForeignKey("answer.id"))
    """The earlier trial that this one repeats with exchanged sides."""
    preferred: Mapped[float | None]
    """1.0 if the first was preferred, 0.0 if the second was, None while the trial is pending."""
    response_ms: Mapped[int | None]
    answered: Mapped[str | None]
    """Time in UTC, ISO 8601."""


def now() -> str:
    """The time in UTC, ISO 8601 with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Database:
    """Access to the file of a study. One process writes at a time, and in it one thread."""

    def __init__(self, folder: Path) -> None:
        self._engine = _engine(folder / DATABASE)
        self._waiting: SimpleQueue[tuple[Change[Any], Future[Any]]] = SimpleQueue()
        self._writing = threading.Lock()
        try:
            Base.metadata.create_all(self._engine)
        except DatabaseError as error:
            raise StudyError(
                f"{folder / DATABASE}: is not a database of answers ({error.orig}); restore it "
                "from a copy, or move it elsewhere"
            ) from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that changes nothing."""
        with Session(self._engine) as session:
            yield session

    def write(self, change: Change[T]) -> T:
        """Make a change; return its result once it is on the disk.

        A change that raises is undone, and its error is raised here. Changes of other threads that
        wait meanwhile are made in one transaction, since the disk takes about 10 ms for each.
        """
        done: Future[T] = Future()
        self._waiting.put((change, done))
        with self._writing:
            if not done.done():
                self._write_waiting()
        return done.result()

    def _write_waiting(self) -> None:
        """Make all waiting changes in one transaction, and tell those who wait for them."""
        made: list[tuple[Future[Any], Any]] = []
        with Session(self._engine, expire_on_commit=False) as session:
            while not self._waiting.empty():
                change, done = self._waiting.get()
                try:
                    with session.begin_nested():
                        result = change(session)
                # It belongs to the thread that asked for the change.
                except Exception as error:
                    done.set_exception(error)
                else:
                    made.append((done, result))
            try:
                session.commit()
            except Exception as error:
                for done, _ in made:
                    done.set_exception(error)
                return
        for done, result in made:
            done.set_result(result)

    def close(self) -> None:
        """Close all connections, which merges the write-ahead log into the file."""
        self._engine.dispose()


def answers(session: Session, kind: str) -> list[Answer]:
    """The given answers of a kind, in the order of their times."""
    query = select(Answer).where(Answer.kind == kind, Answer.preferred.is_not(None))
    return list(session.scalars(query.order_by(Answer.answered)))


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _set(connection: Any, _: object) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        # Python's own transactions do not know savepoints.
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine
