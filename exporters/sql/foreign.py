"""A `reputation_signal` table of another program, read and nothing else: the reference's, or a sidecar's."""

import errno
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine, column, func, inspect, select, table, tuple_

from exporters.sql.engine import available, parse_url, reader, sqlite_path
from exporters.sql.types import from_timestamp

TABLE: Final = "reputation_signal"
PAGE: Final = 1000
NEEDED: Final = ("id", "instanceId", "occurredAt", "type", "source")
OPTIONAL: Final = ("context", "messageId", "remoteJid", "isGroup", "latencyMs")
_TEXTS: Final = frozenset({"id", "instanceId", "type", "source", "messageId", "remoteJid"})
"""May be enums or uuids of the database there."""


class ForeignTable:
    """Reads every row in order of (instance, time, id); close it at the end.

    Attributes:
        is_ours: a sidecar made the table, its ids are the facts' own.
        count: rows there were when it was opened.
    """

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)
        self._engine: Engine = reader(self._url)
        self._columns: tuple[str, ...] = ()
        self.is_ours = False
        self.count = 0

    def open(self) -> list[str]:
        """Look at the table; give the columns it lacks, empty when it can be read.

        Raises:
            FileNotFoundError: there is no SQLite file of that name.
            StoreUnavailable: the database did not answer.
        """
        if self._url.get_backend_name() == "sqlite" and not sqlite_path(self._url).is_file():
            raise FileNotFoundError(errno.ENOENT, "no such file", str(sqlite_path(self._url)))
        with available(), self._engine.connect() as connection:
            found = inspect(connection)
            if not found.has_table(TABLE):
                return list(NEEDED)
            names = {one["name"] for one in found.get_columns(TABLE)}
            missing = [name for name in NEEDED if name not in names]
            if missing:
                return missing
            self._columns = (*NEEDED, *(name for name in OPTIONAL if name in names))
            self.is_ours = "seq" in names
            self.count = connection.execute(select(func.count()).select_from(table(TABLE))).scalar_one()
        return []

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give rows by their column names, times as epoch milliseconds or text.

        Raises:
            StoreUnavailable: the database did not answer.
        """
        source = table(TABLE, *(column(name) for name in self._columns))
        # The index that both programs' tables have: the fold is then fed in order of time.
        by = (source.c.instanceId, source.c.occurredAt, source.c.id)
        statement = select(source).order_by(*by).limit(PAGE)
        last: tuple[Any, ...] | None = None
        while True:
            page = statement if last is None else statement.where(tuple_(*by) > tuple_(*last))
            with available(), self._engine.connect() as connection:
                found = connection.execute(page).mappings().all()
            for row in found:
                yield {name: _plain(name, value) for name, value in row.items()}
            if len(found) < PAGE:
                return
            last = tuple(found[-1][name] for name in ("instanceId", "occurredAt", "id"))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return from_timestamp(value.replace(tzinfo=None))
    if name == "context" and isinstance(value, str | bytes):
        try:
            return json.loads(value)
        except ValueError:
            return None
    if name == "isGroup":
        return bool(value)
    if name in _TEXTS and value is not None:
        return str(value)
    return value
