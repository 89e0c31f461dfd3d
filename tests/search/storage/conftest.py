from collections.abc import Iterator
from itertools import count

import pytest
from servers import PASSWORD, postgresql

NUMBERS = count()


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    """Port of a server of PostgreSQL."""
    with postgresql() as port:
        yield port


@pytest.fixture
def url(port: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty database, whose password is in the environment."""
    import psycopg

    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    name = f"d{next(NUMBERS)}"
    address = f"postgresql://admin@127.0.0.1:{port}/postgres"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://admin@127.0.0.1:{port}/{name}"
