"""A study in a database of PostgreSQL or MySQL.

A password is used by this process alone. It is neither written nor printed: what is recorded and
shown is the URL without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from latency_predictor.printable import printable, without_passwords
from search.config.schema import ConfigError

KEY = "search.storage"
CONNECT_S = 5
"""Longest wait for a connection to one address of a host, in seconds."""
ACCEPTED = "expected postgresql://USER@HOST/DATABASE or mysql://USER@HOST/DATABASE"


@dataclass(frozen=True)
class _Kind:
    """A kind of database."""

    driver: str
    """SQLAlchemy's name of the kind and of its driver."""
    module: str
    """The Python module of the driver."""
    timeouts: dict[str, int]
    """Arguments of the first connection that bound its time."""
    password: str
    """The places of a password besides the URL."""
    variable: str | None = None
    """Environment variable of the password, which the driver does not read by itself."""


KINDS = {
    "postgresql": _Kind(
        "postgresql+psycopg",
        "psycopg",
        {"connect_timeout": CONNECT_S},
        "the environment variable PGPASSWORD or the file ~/.pgpass",
    ),
    "mysql": _Kind(
        "mysql+pymysql",
        "pymysql",
        {"connect_timeout": CONNECT_S, "read_timeout": CONNECT_S},
        "the environment variable MYSQL_PWD",
        "MYSQL_PWD",
    ),
}


_GIVEN: dict[str, str] = {}
"""Passwords that the user gave to this process, by the URLs without them."""


@dataclass(frozen=True)
class Database:
    """The study of a run, by its name in a database."""

    url: str
    """The URL without a password."""
    study: str
    """Name of the study, which no other run in the database has."""

    @classmethod
    def of(cls, text: str, study: str) -> Database:
        """The study with a name in the database at a URL.

        A password in the URL is used for every later connection of this process to the URL. Raises
        ConfigError if the URL is none, or the kind of database or its driver is missing.
        """
        url = _parsed(text)
        # `url.set(password=None)` keeps the password.
        parts = (url.drivername, url.username, None, url.host, url.port, url.database, url.query)
        plain = URL.create(*parts).render_as_string(hide_password=False)
        if url.password:
            _GIVEN[plain] = str(url.password)
        return cls(plain, study)

    @property
    def _kind(self) -> _Kind:
        return KINDS[self.url.partition("://")[0]]

    @property
    def _address(self) -> URL:
        return make_url(self.url).set(drivername=self._kind.driver)

    @property
    def _login(self) -> dict[str, str]:
        """The argument of a connection that holds the password, if the driver cannot find it."""
        variable = self._kind.variable
        password = _GIVEN.get(self.url) or (os.environ.get(variable) if variable else None)
        return {"password": password} if password else {}

    def check(self) -> None:
        """Raise ConfigError unless the database can be reached and lets the user in."""
        arguments = self._login | self._kind.timeouts
        with self.readable_errors():
            engine = create_engine(self._address, poolclass=NullPool, connect_args=arguments)
            try:
                engine.connect().close()
            except UnicodeError as error:  # of a host's name
                raise ConfigError(f"{KEY}={printable(self.url)}: {self._why(error)}") from None

    def storage(self, reading: bool = False) -> RDBStorage:
        """Optuna's storage. Its tables are created if they do not exist, unless only for `reading`.

        Raises ConfigError if the database cannot be reached, or does not permit this.
        """
        self.check()
        # A server may have ended a connection during a long evaluation. A storage for reading is
        # made anew at every look, and must not leave a connection behind.
        pool = {"poolclass": NullPool} if reading else {"pool_pre_ping": True}
        options = pool | {"connect_args": self._login | {"connect_timeout": CONNECT_S}}
        address = self._address.render_as_string(hide_password=False)
        with self.readable_errors():
            try:
                return RDBStorage(address, options, skip_table_creation=reading)
            except RuntimeError as error:  # of tables that another version of Optuna made
                raise ConfigError(f"{KEY}={printable(self.url)}: {error}") from error

    def version(self) -> tuple[int, ...]:
        """Numbers of the study's trials by state, which change whenever a trial ends.

        Raises ConfigError.
        """
        storage = self.storage(reading=True)
        with self.readable_errors():
            study = storage.get_study_id_from_name(self.study)
            return tuple(storage.get_n_trials(study, state) for state in TrialState)

    def batch(self) -> AbstractContextManager[None]:
        """Do nothing: the database writes every entry at once."""
        return nullcontext()

    @contextmanager
    def readable_errors(self) -> Iterator[None]:
        """Convert errors of the database in the block to ConfigError with one line."""
        try:
            yield
        except (SQLAlchemyError, StorageInternalError) as error:
            cause = error.__cause__ if isinstance(error, StorageInternalError) else error
            raise ConfigError(f"{KEY}={printable(self.url)}: {self._why(cause)}") from None

    def _why(self, error: BaseException | None) -> str:
        """What a driver says in one line, without its quotation of a statement."""
        said = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
        said = without_passwords(said.partition(" LINE 1:")[0])
        if given := _GIVEN.get(self.url):
            said = said.replace(given, "***")
        asks = "password" in said or "Access denied" in said
        return f"{said}; expected the password in {self._kind.password}" if asks else said


def _parsed(text: str) -> URL:
    """The parts of a URL. Raises ConfigError."""
    scheme, separator, _ = text.partition("://")
    shown = f"{KEY}={printable(without_passwords(text))}"
    if scheme.partition("+")[0] == "sqlite":
        raise ConfigError(
            f"{shown}: SQLite is not accepted, since its locks fail in folders of a network, and "
            f"on one machine the journal in the run's folder does the same; {ACCEPTED}"
        )
    if not separator or scheme not in KINDS:
        raise ConfigError(f"{shown}: {ACCEPTED}")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(f"{shown}: is no URL; {ACCEPTED}") from None
    if text.count("@") > 1:
        raise ConfigError(f"{shown}: expected %40 for an @ within a name or password; {ACCEPTED}")
    if not url.database:
        raise ConfigError(f"{shown}: names no database; {ACCEPTED}")
    if any("pass" in name.lower() for name in url.query):
        raise ConfigError(f"{shown}: expected the password in {KINDS[scheme].password}")
    if find_spec(KINDS[scheme].module) is None:
        raise ConfigError(f"{shown}: needs a driver; pip install 'codec-search[{scheme}]'")
    return url
