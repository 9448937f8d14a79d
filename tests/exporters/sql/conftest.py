"""Stores to test: an open, empty one on each database."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from domain.retain import RetainedStore
from exporters.sql.store import SqlStore
from tests.fakes import InMemoryStore
from tests.postgres import new_database

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.postgres)
ROUTED = pytest.param("postgresql routed", marks=pytest.mark.postgres)
"""PostgreSQL, its statements put as Citus wants them."""
BOTH = ("sqlite", POSTGRESQL)


@pytest.fixture(params=BOTH)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database, SQLite and PostgreSQL in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("database_url")
    return url


@pytest.fixture
def open_store() -> Iterator[Callable[..., SqlStore]]:
    """Open stores that are closed after the test: `open_store(url, sidecar_id="s1")`."""
    opened: list[SqlStore] = []

    def opening(
        url: str, sidecar_id: str = "s1", lock_wait_ms: int = 0, *, routed: bool | None = None
    ) -> SqlStore:
        store = SqlStore(url, sidecar_id=sidecar_id, lock_wait_ms=lock_wait_ms, routed=routed)
        opened.append(store)
        store.open()
        return store

    yield opening
    for store in opened:
        store.close()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated SQLite file to copy: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "store.db"
    store = SqlStore(f"sqlite:///{path}", sidecar_id="s1")
    store.open()
    store.close()
    return path


@pytest.fixture(scope="session")
def migrated_database(server_url: str) -> Iterator[str]:
    """Give the name of a migrated database to copy."""
    with new_database(server_url) as url:
        store = SqlStore(url, sidecar_id="s1")
        store.open()
        store.close()
        yield str(make_url(url).database)


@pytest.fixture
def migrated_url(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path
) -> Iterator[Callable[[str], str]]:
    """Give URLs of migrated, empty databases: `migrated_url("sqlite")`."""
    with ExitStack() as dropped:

        def making(kind: str) -> str:
            if kind == "sqlite":
                copy = shutil.copy(migrated_file, tmp_path / "store.db")
                return f"sqlite:///{copy}"
            server = request.getfixturevalue("server_url")
            template = request.getfixturevalue("migrated_database")
            return dropped.enter_context(new_database(server, template))

        yield making


@pytest.fixture(params=(*BOTH, ROUTED))
def store(
    request: pytest.FixtureRequest,
    migrated_url: Callable[[str], str],
    open_store: Callable[..., SqlStore],
) -> SqlStore:
    """Give an open, empty store on each database, PostgreSQL's with both forms of its statements."""
    return open_store(migrated_url(request.param), routed=_routed(request.param))


@pytest.fixture(params=("memory", *BOTH, ROUTED))
def any_store(
    request: pytest.FixtureRequest,
    migrated_url: Callable[[str], str],
    open_store: Callable[..., SqlStore],
) -> RetainedStore:
    """Give an empty store: the fake that domain tests use, and both databases, held to the same promises."""
    if request.param == "memory":
        return InMemoryStore()
    return open_store(migrated_url(request.param), routed=_routed(request.param))


def _routed(kind: str) -> bool | None:
    return True if kind == "postgresql routed" else None
