"""A store looked at from outside: no lock, no migration, nothing written; also beside a running sidecar."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, func, inspect, select

from domain.errors import StoreUnavailable
from domain.forget import ForgottenPage, References, RowKey
from domain.words import Millis
from exporters.sql.engine import available, sqlite_path
from exporters.sql.evaluating import SqlEvaluating
from exporters.sql.migrate import SchemaUnusable
from exporters.sql.recording import SqlRecording
from exporters.sql.schema import REVISIONS, VERSION_TABLE, metadata, reputation_signal
from exporters.sql.store import SqlStore

_S: Final = reputation_signal.c


class StoreMissing(StoreUnavailable):
    """There is no SQLite file of that name: nothing was ever recorded there."""


class TableSize(NamedTuple):
    """Rows of one table."""

    table: str
    rows: int


class StoreReport(NamedTuple):
    """What a store holds.

    Attributes:
        size_bytes: of the SQLite file and its log, or of our tables with their indexes.
        revision: of the schema; `latest` is the one this version works with.
        oldest, newest: date of the first and of the last signal, None without any.
    """

    backend: str
    size_bytes: int
    revision: str | None
    latest: str
    tables: tuple[TableSize, ...]
    oldest: Millis | None
    newest: Millis | None


class ReadOnlyStore(SqlStore):
    """Answers what `SqlStore` answers; everything that would write is refused.

    `sidecar_id` says whose journal positions `progress` gives.
    """

    def __init__(self, url: str, *, sidecar_id: str = "") -> None:
        super().__init__(url, sidecar_id=sidecar_id)

    def open(self) -> list[str]:
        """Look whether the tables are there and of this version's schema.

        Raises:
            StoreMissing: no SQLite file.
            SchemaUnusable: the schema is older or newer than this version's.
            StoreUnavailable: the database did not answer.
        """
        self._check_file()
        with available():
            revision = _revision(self._reader)
            self._look_for_citus(self._reader)
        if revision != REVISIONS[-1]:
            raise SchemaUnusable(
                f"the database's schema is at revision {revision or 'none'}, this version reads "
                f"{REVISIONS[-1]}; run `sidecar migrate`, or start the sidecar once"
            )
        self._opened = True
        return []

    def report(self) -> StoreReport:
        """Count what is stored; needs no `open`, so that an older schema can be told too."""
        self._check_file()
        with available(), self._reader.connect() as connection:
            revision = _revision(self._reader)
            present = set(inspect(connection).get_table_names())
            tables = [table for table in metadata.sorted_tables if table.name in present]
            sizes = tuple(
                TableSize(t.name, connection.execute(select(func.count()).select_from(t)).scalar_one())
                for t in sorted(tables, key=lambda table: table.name)
            )
            oldest, newest = None, None
            if reputation_signal.name in present:
                bounds = select(func.min(_S.occurredAt), func.max(_S.occurredAt))
                oldest, newest = connection.execute(bounds).one()
            names = [table.name for table in tables]
            size = self._file_bytes() if self._sqlite else _table_bytes(connection, names)
        backend = "sqlite" if self._sqlite else "postgresql"
        return StoreReport(backend, size, revision, REVISIONS[-1], sizes, oldest, newest)

    def known(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Give those (instance id, signal id) pairs that are stored."""
        self._check_open()
        found: set[tuple[str, str]] = set()
        by_instance: dict[str, list[str]] = {}
        for instance_id, signal_id in keys:
            by_instance.setdefault(instance_id, []).append(signal_id)
        with available(), self._reader.connect() as connection:
            for instance_id, ids in by_instance.items():
                statement = select(_S.id).where(_S.instanceId == instance_id, _S.id.in_(ids))
                found |= {(instance_id, known) for known in connection.execute(statement).scalars()}
        return found

    @contextlib.contextmanager
    def recording(self) -> Iterator[SqlRecording]:
        """Refuse."""
        _refuse()
        with super().recording() as recording:
            yield recording

    @contextlib.contextmanager
    def evaluating(self, instance_ids: Sequence[str]) -> Iterator[SqlEvaluating]:
        """Refuse."""
        _refuse()
        with super().evaluating(instance_ids) as evaluating:
            yield evaluating

    def drop_before(self, horizon: Millis, limit: int) -> int:
        """Refuse."""
        _refuse()
        return super().drop_before(horizon, limit)

    def give_back(self) -> bool:
        """Refuse."""
        _refuse()
        return super().give_back()

    def forget(
        self,
        instance_id: str,
        remote_jids: Collection[str],
        references: References,
        after: RowKey | None,
        limit: int,
    ) -> ForgottenPage:
        """Refuse."""
        _refuse()
        return super().forget(instance_id, remote_jids, references, after, limit)

    def scrub(self) -> bool:
        """Refuse."""
        _refuse()
        return super().scrub()

    def _check_file(self) -> None:
        if self._sqlite and not sqlite_path(self._url).is_file():
            raise StoreMissing(
                f"there is no store at {sqlite_path(self._url)}; nothing was recorded there yet, or "
                "SIDECAR_DATA_DIR or SIDECAR_DATABASE_URL name another place"
            )

    def _file_bytes(self) -> int:
        path = sqlite_path(self._url)
        size = 0
        for name in (path.name, path.name + "-wal"):
            with contextlib.suppress(FileNotFoundError):
                size += path.with_name(name).stat().st_size
        return size


def _refuse() -> None:
    raise StoreUnavailable("the store is open for reading only")


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        statement = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - our own constant
        revision: str | None = connection.exec_driver_sql(statement).scalar_one_or_none()
        return revision


def _table_bytes(connection: Any, names: Sequence[str]) -> int:
    sizes = [
        connection.exec_driver_sql(f"SELECT pg_total_relation_size('\"{name}\"')").scalar_one()
        for name in names
    ]
    return int(sum(sizes))
