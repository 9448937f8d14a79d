"""Connections of both databases, and what their refusals mean to the domain.

SQLite has one writing connection (BEGIN IMMEDIATE, so that a lock is never upgraded) and reading ones that
cannot write or checkpoint. PostgreSQL has the same two pools; reads carry a statement timeout.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Engine, QueuePool, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from domain.errors import StoreUnavailable
from exporters.sql.json_text import dumps, loads

READERS_MAX: Final = 4
POOL_WAIT_SECONDS: Final = 10.0
BUSY_TIMEOUT_MS: Final = 5000
READ_TIMEOUT_MS: Final = 5000
WRITE_TIMEOUT_MS: Final = 60_000
CONNECT_TIMEOUT_SECONDS: Final = 5

WHOLE_TABLE_PLANS: Final = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
"""Plans a writing connection to PostgreSQL is denied: all it does is look keys up, and the planner
may read the whole table for a batch of keys (seen at 40 000 rows, and with statistics that are old)."""

_WRITER_PRAGMAS: Final = (
    # Before the first table, or never: lets retention give pages back to the file system.
    "auto_vacuum=INCREMENTAL",
    "journal_mode=WAL",
    # May lose the last commits on power loss, never corrupts; the journal still holds those facts.
    "synchronous=NORMAL",
    f"busy_timeout={BUSY_TIMEOUT_MS}",
    # Measured with 200 instances, batches of 500: 48 us a row with the defaults (2 MB of cache, a checkpoint
    # each 1000 pages), 34 us with these. Each row touches a page in six trees.
    "cache_size=-16384",
    "wal_autocheckpoint=8000",
    "journal_size_limit=67108864",
    "temp_store=MEMORY",
)
_READER_PRAGMAS: Final = ("query_only=ON", f"busy_timeout={BUSY_TIMEOUT_MS}", "cache_size=-4096")


class UnusableUrl(ValueError):  # noqa: N818 - says what it is where it is caught
    """A database URL this program cannot serve."""


def parse_url(url: str) -> URL:
    """Read `SIDECAR_DATABASE_URL`.

    Raises:
        UnusableUrl: no URL, neither SQLite nor PostgreSQL, or a SQLite database without a file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UnusableUrl(
            "the database URL is not a URL; write sqlite:///path or postgresql://..."
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise UnusableUrl("the SQLite URL must name a file: sqlite:///relative or sqlite:////absolute")
        return parsed
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise UnusableUrl(f"the database must be sqlite:// or postgresql://, got {backend}://")


def sqlite_path(url: URL) -> Path:
    """Give the file of a SQLite URL."""
    return Path(url.database or "")


def writer(url: URL) -> Engine:
    """Make the engine that writes; connects on first use. A new SQLite file is its owner's only."""
    if url.get_backend_name() == "postgresql":
        return _postgresql(url, WRITE_TIMEOUT_MS, size=2)
    path = sqlite_path(url)

    def connect() -> sqlite3.Connection:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the mode of the database.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)

    engine = _sqlite(connect, _WRITER_PRAGMAS, size=1)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def reader(url: URL) -> Engine:
    """Make the engine that reads; it cannot write."""
    if url.get_backend_name() == "postgresql":
        return _postgresql(url, READ_TIMEOUT_MS, size=READERS_MAX, read_only=True)
    name = f"file:{quote(str(sqlite_path(url).absolute()))}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False)

    engine = _sqlite(connect, _READER_PRAGMAS, size=READERS_MAX)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _sqlite(connect: Any, pragmas: tuple[str, ...], size: int) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        json_serializer=dumps,
        json_deserializer=loads,
    )

    def prepare(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        del entry
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", prepare)
    return engine


def _postgresql(url: URL, timeout_ms: int, size: int, *, read_only: bool = False) -> Engine:
    options = (
        f"-c timezone=UTC -c statement_timeout={timeout_ms} -c idle_in_transaction_session_timeout=60000"
    )
    if read_only:
        options += " -c default_transaction_read_only=on"
    else:
        options += "".join(f" -c {plan}=off" for plan in WHOLE_TABLE_PLANS)
    given = str(url.query.get("options", ""))
    try:
        return create_engine(
            url.difference_update_query(["options"]),
            paramstyle="format",  # positional, so that compiled statements run on the driver as they are
            pool_size=size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS,
            pool_pre_ping=True,
            json_serializer=dumps,
            json_deserializer=loads,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_SECONDS,
                "application_name": "reputation-sidecar",
                "options": f"{given} {options}".strip(),
                "keepalives_idle": 30,
            },
        )
    except ModuleNotFoundError as error:
        raise UnusableUrl(
            "PostgreSQL needs the driver psycopg: install reputation-sidecar[postgres]"
        ) from error


@contextmanager
def available() -> Iterator[None]:
    """Say that the store is unavailable wherever the database fails, whatever its driver calls it.

    Raises:
        StoreUnavailable: what was under way did not happen, or its transaction never committed.
    """
    try:
        yield
    except DBAPIError as error:
        # The driver's first line names the fault; what follows may quote the row.
        fault = str(error.orig).partition("\n")[0]
        raise StoreUnavailable(f"{type(error.orig).__name__}: {fault}") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StoreUnavailable(str(error)) from error
    except OSError as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error.strerror}") from error
