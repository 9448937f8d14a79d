"""SqlStore: the store as the composition root makes it, one class for both databases."""

import os
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Final

from sqlalchemy import Connection, Engine

from domain.errors import StoreUnavailable
from domain.forget import ForgottenPage, References, RowKey
from domain.recorded import Gap, InstanceSummary, Progress, RecordedSignal
from domain.timeline import TimelinePage, TimelineQuery
from domain.words import Millis
from exporters.sql.engine import POOL_WAIT_SECONDS, available, parse_url, reader, sqlite_path, writer
from exporters.sql.evaluating import SqlEvaluating
from exporters.sql.forgetting import blank_page, overwrite_freed, scrub_file
from exporters.sql.health_reading import SqlHealthReading
from exporters.sql.health_statements import health_statements
from exporters.sql.hot import hot_statements
from exporters.sql.lock import FileLock
from exporters.sql.migrate import migrate
from exporters.sql.reading import SqlReading
from exporters.sql.recording import SqlRecording
from exporters.sql.retention import Retention
from exporters.sql.routed import is_spread
from exporters.sql.turns import Turns

LOCK_WAIT_MS: Final = 30_000
"""How long a SQLite file's last holder may take to end: the default drain time."""


class SqlStore:
    """The audit trail in SQLite or PostgreSQL.

    Implements `domain.ports.SignalStore` and `domain.health_ports.EvaluationStore`. Constructing does
    no I/O. `open` before use; until then every method raises StoreUnavailable.

    Args:
        url: `sqlite:///file` or `postgresql://...`.
        sidecar_id: whose journal positions and gaps these are; unique among the sidecars of one database.
        lock_wait_ms: how long to wait for another holder of a SQLite file.
        patience_ms: how long a call may wait for the first `open` to end, before it raises StoreUnavailable.
        routed: whether recording and retention on PostgreSQL name one instance a statement, as Citus wants
            it; by default `open` looks whether Citus spreads the tables.

    Raises:
        UnusableUrl: the URL cannot be served.
    """

    def __init__(
        self,
        url: str,
        *,
        sidecar_id: str,
        lock_wait_ms: int = LOCK_WAIT_MS,
        patience_ms: int = 0,
        routed: bool | None = None,
    ) -> None:
        self._url = parse_url(url)
        self._sidecar_id = sidecar_id
        self._lock_wait_ms = lock_wait_ms
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._lock = FileLock(sqlite_path(self._url)) if self._sqlite else None
        self._writer = writer(self._url)
        self._reader = reader(self._url)
        self._reading = SqlReading(self._reader)
        self._turns = Turns()
        self._wanted = routed
        self._put(routed=bool(routed))
        self._health_statements = health_statements(self._writer.dialect)
        self._opened = False
        self._patience_seconds = patience_ms / 1000
        self._tried = threading.Event()

    def open(self) -> list[str]:
        """Take the file lock, bring the schema up to date; safe to call again after a failure.

        Returns:
            The schema revisions that were applied.

        Raises:
            StoreLocked: another process holds the SQLite file.
            StoreUnavailable: the database did not answer.
            SchemaUnusable: the tables are of a newer version, or of another program.
        """
        try:
            return self._open()
        finally:
            self._tried.set()

    def _open(self) -> list[str]:
        with available():
            if self._lock:
                sqlite_path(self._url).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock.acquire(self._lock_wait_ms)
            applied = migrate(self._writer)
            self._look_for_citus(self._writer)
        self._opened = True
        return applied

    def _look_for_citus(self, engine: Engine) -> None:
        """Decide how statements are put."""
        if self._wanted is None:
            with engine.connect() as connection:
                self._put(routed=is_spread(connection))

    def _put(self, *, routed: bool) -> None:
        self._routed = routed
        self._statements = hot_statements(self._writer.dialect, routed=routed)
        looking = self._reader if self._sqlite else self._writer
        self._retention = Retention(self._writing, looking, routed=routed)

    def close(self) -> None:
        """Close every connection and let go of the file."""
        self._opened = False
        self._reader.dispose()
        self._writer.dispose()
        if self._lock:
            self._lock.release()

    @contextmanager
    def recording(self) -> Iterator[SqlRecording]:
        """Open the one write transaction of a batch."""
        self._check_open()
        with self._writing() as connection, connection.begin():
            yield SqlRecording(connection, self._statements, self._sidecar_id)

    def sync(self) -> None:
        """Make everything committed so far survive a power loss.

        PostgreSQL has done so at each commit. SQLite in WAL mode has not: until the next checkpoint its
        commits are with the operating system. Call it before deleting a journal segment they came from.
        """
        self._check_open()
        if not self._sqlite:
            return
        log = sqlite_path(self._url).with_name(sqlite_path(self._url).name + "-wal")
        with available():
            # SQLite locks the database and the -shm file, never the log: opening it here drops no lock.
            descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def progress(self) -> dict[str, Progress]:
        """Give how far each journal folder of this sidecar was recorded, by folder name."""
        self._check_open()
        return self._reading.progress(self._sidecar_id)

    def timeline(self, query: TimelineQuery) -> TimelinePage:
        """Read one page of an instance's signals."""
        self._check_open()
        return self._reading.timeline(query)

    def stream(self, query: TimelineQuery) -> Iterator[list[RecordedSignal]]:
        """Read a whole range page by page, see `SqlReading.stream`."""
        self._check_open()
        return self._reading.stream(query)

    def gaps(self, since: Millis, until: Millis, instance_id: str | None = None) -> list[Gap]:
        """Give the gaps that overlap [since, until]: those without an instance, and the named instance's."""
        self._check_open()
        return self._reading.gaps(since, until, instance_id)

    def instances(self, after: str | None, limit: int) -> list[InstanceSummary]:
        """Give instances in ascending order of their id, those behind `after`, at most `limit`."""
        self._check_open()
        return self._reading.instances(after, limit)

    def summaries(self, instance_ids: Sequence[str]) -> list[InstanceSummary]:
        """Give the named instances that exist, in any order."""
        self._check_open()
        return self._reading.summaries(instance_ids)

    def drop_before(self, horizon: Millis, limit: int) -> int:
        """Delete some signals dated before `horizon`, at most `limit` (retention); give how many went.

        Holds the writer for about 50 ms; 0 when none is left.
        """
        self._check_open()
        with available():
            return self._retention.drop_before(horizon, limit)

    def give_back(self) -> bool:
        """Give freed space back to the file system, for about 50 ms; tell whether there is more."""
        self._check_open()
        with available():
            return self._retention.give_back()

    def forget(
        self,
        instance_id: str,
        remote_jids: Collection[str],
        references: References,
        after: RowKey | None,
        limit: int,
    ) -> ForgottenPage:
        """Blank ids among the next `limit` rows of an instance, see `domain.forget`."""
        self._check_open()
        with self._writing() as connection, connection.begin():
            if self._sqlite:
                overwrite_freed(connection)
            behind = after or RowKey(-1, "")
            return blank_page(connection, instance_id, remote_jids, references, behind, limit)

    def scrub(self) -> bool:
        """Leave no earlier form of a row in a SQLite file; PostgreSQL's dead rows are for its VACUUM."""
        self._check_open()
        if not self._sqlite:
            return False
        with self._writing() as connection:
            return scrub_file(connection, sqlite_path(self._url).stat().st_size)

    @contextmanager
    def evaluating(self, instance_ids: Sequence[str]) -> Iterator[SqlEvaluating]:
        """Open a write transaction and lock these instances in ascending order."""
        self._check_open()
        with self._writing() as connection, connection.begin():
            SqlRecording(connection, self._statements, self._sidecar_id).lock(instance_ids)
            yield SqlEvaluating(connection, self._health_statements)

    @contextmanager
    def reading(self) -> Iterator[SqlHealthReading]:
        """Open a read-only transaction; all its answers speak of the same commit."""
        self._check_open()
        with available(), self._reader.connect() as connection:
            if not self._sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield SqlHealthReading(connection)

    def due(self, now: Millis, limit: int) -> list[str]:
        """Give instances whose next step by time is at or before `now`, earliest first."""
        self._check_open()
        return self._reading.due(now, limit)

    def unevaluated(self, limit: int) -> list[str]:
        """Give instances with facts behind their saved state, or without one."""
        self._check_open()
        return self._reading.unevaluated(limit)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Give a writing connection; on SQLite there is one, taken in turns."""
        turn = self._turns.take(POOL_WAIT_SECONDS) if self._sqlite else nullcontext()
        with available(), turn, self._writer.connect() as connection:
            yield connection

    def _check_open(self) -> None:
        if not self._opened:
            self._tried.wait(self._patience_seconds)
        if not self._opened:
            raise StoreUnavailable("the store is not open")
