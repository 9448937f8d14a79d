"""Stores to test: an open, empty one on each database."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain.retain import RetainedStore
from exporters.sql.store import SqlStore
from tests.fakes import InMemoryStore
from tests.postgres import database_url, server_url

__all__ = ["database_url", "server_url"]

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.postgres)
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

    def opening(url: str, sidecar_id: str = "s1", lock_wait_ms: int = 0) -> SqlStore:
        store = SqlStore(url, sidecar_id=sidecar_id, lock_wait_ms=lock_wait_ms)
        opened.append(store)
        store.open()
        return store

    yield opening
    for store in opened:
        store.close()


@pytest.fixture
def store(store_url: str, open_store: Callable[..., SqlStore]) -> SqlStore:
    """Give an open, empty store."""
    return open_store(store_url)


@pytest.fixture(params=("memory", "sqlite", POSTGRESQL))
def any_store(
    request: pytest.FixtureRequest, tmp_path: Path, open_store: Callable[..., SqlStore]
) -> RetainedStore:
    """Give an empty store: the fake that domain tests use, and both databases, held to the same promises."""
    if request.param == "memory":
        return InMemoryStore()
    if request.param == "sqlite":
        return open_store(f"sqlite:///{tmp_path / 'store.db'}")
    return open_store(request.getfixturevalue("database_url"))
