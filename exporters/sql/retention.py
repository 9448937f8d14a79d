"""Retention: old signals go in steps that hold the writer for about 50 ms; recording never waits long.

Which rows are old is asked of SQLite on a reading connection, beside the writer. How many go in a step
follows from how long the last one took: a row costs 20 microseconds where its pages are in memory and a
thousand times that where each of seven trees has to be read from a disk.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine

from domain.words import Millis
from exporters.sql.routed import ask_each, by_instance
from exporters.sql.types import to_timestamp

STEP_SECONDS: Final = 0.05
"""How long a step should hold the writer. Seen with steps of 5000 rows at 10 000 000 stored: over 10 s."""

ROWS_FIRST: Final = 500
ROWS_MIN: Final = 20
VACUUM_PAGES: Final = 100
"""Pages (4 KiB) SQLite gives back to the file system at once; a step is several of those."""

# No index begins with the time (all begin with the instance), so old rows are sought instance by instance; a
# look at an instance without any costs one index search. Neither planner may turn the loop around.
# COLLATE: the two columns differ in it; without, PostgreSQL reads what is old of all instances, once for each
# (measured at 10 000 000 rows: 166 ms a look, not 2).
_OLD: Final = {
    "sqlite": 'SELECT s."instanceId", s.id FROM instance_reputation AS r CROSS JOIN reputation_signal AS s '
    'ON s."instanceId" = r."instanceId" AND s."occurredAt" < ? LIMIT ?',
    "postgresql": 'SELECT s."instanceId", s.id FROM instance_reputation AS r CROSS JOIN LATERAL ('
    'SELECT t."instanceId", t.id FROM reputation_signal AS t '
    'WHERE t."instanceId" = r."instanceId" COLLATE "default" AND t."occurredAt" < %s '
    'ORDER BY t."occurredAt" LIMIT %s) AS s LIMIT %s',
}
_DELETE: Final = {
    "sqlite": 'DELETE FROM reputation_signal WHERE "instanceId" = ? AND id = ?',
    "postgresql": "DELETE FROM reputation_signal AS t USING unnest(%s::text[], %s::text[]) AS k(a, b) "
    'WHERE t."instanceId" = k.a AND t.id = k.b',
}

# On Citus: instances in order of their id, a page of them asked in one round trip.
INSTANCES_ASKED: Final = 100
_INSTANCES: Final = (
    'SELECT "instanceId" FROM instance_reputation WHERE "instanceId" > %s ORDER BY "instanceId" LIMIT %s'
)
_HAS_OLD: Final = (
    'SELECT t."instanceId" FROM reputation_signal AS t '
    'WHERE t."instanceId" = %s AND t."occurredAt" < %s ORDER BY t."occurredAt" LIMIT 1'
)
_OLD_OF_ONE: Final = (
    'SELECT t."instanceId", t.id FROM reputation_signal AS t '
    'WHERE t."instanceId" = %s AND t."occurredAt" < %s ORDER BY t."occurredAt" LIMIT %s'
)
_DELETE_OF_ONE: Final = 'DELETE FROM reputation_signal WHERE "instanceId" = %s AND id = ANY(%s)'


class Retention:
    """Drops old signals of one store.

    Args:
        writing: gives a writing connection, a transaction is begun on it here.
        looking: where old rows are looked for.
        routed: each statement on the signals names one instance (`exporters.sql.routed`).
    """

    def __init__(
        self,
        writing: Callable[[], AbstractContextManager[Connection]],
        looking: Engine,
        *,
        routed: bool = False,
    ) -> None:
        self._routed = routed
        self._passed = ""
        self._writing = writing
        self._looking = looking
        self._sqlite = looking.dialect.name == "sqlite"
        self._rows = ROWS_FIRST

    def drop_before(self, horizon: Millis, limit: int) -> int:
        """Delete some signals dated before `horizon`, at most `limit`; give how many went.

        0 when none is left, and where another sidecar is at the same rows: that one drops the rest.
        """
        rows = self._old(horizon, min(self._rows, limit))
        if not rows:
            return 0
        with self._writing() as connection:
            began = time.monotonic()
            with connection.begin():
                gone = self._delete(connection, rows)
        self._adapt(len(rows), time.monotonic() - began)
        return gone

    def give_back(self) -> bool:
        """Let SQLite shrink its file for a step; tell whether there is more to give back."""
        if not self._sqlite:
            return False
        with self._writing() as connection:
            deadline = time.monotonic() + STEP_SECONDS
            cursor = connection.connection.cursor()
            try:
                while free := cursor.execute("PRAGMA freelist_count").fetchone()[0]:
                    if time.monotonic() >= deadline:
                        return True
                    # It gives back one page each time it is stepped; only a script is stepped to its end.
                    cursor.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
                    if cursor.execute("PRAGMA freelist_count").fetchone()[0] >= free:
                        return False  # made by other means than ours: its pages stay in the file
            finally:
                cursor.close()
        return False

    def _old(self, horizon: Millis, count: int) -> list[tuple[str, str]]:
        if self._routed:
            return self._old_by_instance(to_timestamp(horizon), count)
        name = "sqlite" if self._sqlite else "postgresql"
        parameters = (horizon, count) if self._sqlite else (to_timestamp(horizon), count, count)
        with self._looking.connect() as connection:
            return [(row[0], row[1]) for row in connection.exec_driver_sql(_OLD[name], parameters)]

    def _old_by_instance(self, horizon: datetime, count: int) -> list[tuple[str, str]]:
        """Give old rows, instance by instance from where the last step ended; none where none is left."""
        rows: list[tuple[str, str]] = []
        with self._looking.connect() as connection:
            for _ in range(2 if self._passed else 1):
                while page := connection.exec_driver_sql(_INSTANCES, (self._passed, INSTANCES_ASKED)).all():
                    for (instance_id,) in ask_each(connection, _HAS_OLD, [(row[0], horizon) for row in page]):
                        wanted = (instance_id, horizon, count - len(rows))
                        rows += [(row[0], row[1]) for row in connection.exec_driver_sql(_OLD_OF_ONE, wanted)]
                        if len(rows) == count:
                            return rows
                    self._passed = page[-1][0]
                self._passed = ""
                if rows:
                    break
        return rows

    def _delete(self, connection: Connection, rows: list[tuple[str, str]]) -> int:
        if self._sqlite:
            return connection.exec_driver_sql(_DELETE["sqlite"], rows).rowcount
        if self._routed:
            return connection.exec_driver_sql(_DELETE_OF_ONE, by_instance(rows)).rowcount
        keys: tuple[Any, ...] = ([row[0] for row in rows], [row[1] for row in rows])
        return connection.exec_driver_sql(_DELETE["postgresql"], keys).rowcount

    def _adapt(self, rows: int, took: float) -> None:
        if took > STEP_SECONDS:
            self._rows = max(ROWS_MIN, int(rows * max(0.25, STEP_SECONDS / took)))
        elif took < STEP_SECONDS / 2:
            self._rows = max(self._rows, 2 * rows)
