"""Short by default; at length with `SIDECAR_CHAOS=full` (`make chaos`).

`SIDECAR_CHAOS_OUTAGE_SECONDS` sets how long PostgreSQL stays away (180 at length).
"""

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.database_server import DatabaseServer
from tests.postgres import new_database

FULL_TIMEOUT_SECONDS = 3600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests at length the time they need."""
    if os.environ.get("SIDECAR_CHAOS") == "full":
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.timeout(FULL_TIMEOUT_SECONDS))


@pytest.fixture
def full() -> bool:
    """Whether to run at length."""
    return os.environ.get("SIDECAR_CHAOS") == "full"


@pytest.fixture
def own_server() -> Iterator[DatabaseServer]:
    """Give a PostgreSQL server that the test may stop; running."""
    # Short: a socket's path has at most 107 bytes.
    server = DatabaseServer(Path(tempfile.gettempdir()) / f"chaos-pg-{uuid.uuid4().hex[:8]}")
    try:
        yield server
    finally:
        server.delete()


@pytest.fixture
def own_database(own_server: DatabaseServer) -> Iterator[str]:
    """Give an empty database on that server, which runs again when the test is over."""
    with new_database(own_server.url) as url:
        yield url
        own_server.start()
