"""Retention: old signals go in bounded batches, so that recording never waits long; the rest stays."""

from typing import Final

from sqlalchemy import Connection, Engine

from domain.words import Millis
from exporters.sql.types import to_timestamp

VACUUM_PAGES: Final = 2000
"""Pages (4 KiB) given back to the file system after each batch."""

# No index begins with the time (all begin with the instance), so old rows are sought instance by instance; a
# look at an instance without any costs one index search. Neither planner may turn the loop around.
_OLD: Final = {
    "sqlite": 'SELECT s."instanceId", s.id FROM instance_reputation AS r CROSS JOIN reputation_signal AS s '
    'ON s."instanceId" = r."instanceId" AND s."occurredAt" < ? LIMIT ?',
    "postgresql": 'SELECT s."instanceId", s.id FROM instance_reputation AS r CROSS JOIN LATERAL ('
    'SELECT t."instanceId", t.id FROM reputation_signal AS t WHERE t."instanceId" = r."instanceId" '
    'AND t."occurredAt" < %s ORDER BY t."occurredAt" LIMIT %s) AS s LIMIT %s',
}
_DELETE: Final = {
    "sqlite": 'DELETE FROM reputation_signal WHERE "instanceId" = ? AND id = ?',
    "postgresql": 'DELETE FROM reputation_signal WHERE "instanceId" = %s AND id = %s',
}


def drop_before(engine: Engine, horizon: Millis, limit: int) -> int:
    """Delete at most `limit` signals dated before `horizon`; give how many went."""
    with engine.connect() as connection:
        name = connection.dialect.name
        parameters = (to_timestamp(horizon), limit, limit) if name == "postgresql" else (horizon, limit)
        with connection.begin():
            rows = connection.exec_driver_sql(_OLD[name], parameters).all()
            if rows:
                connection.exec_driver_sql(_DELETE[name], [(row[0], row[1]) for row in rows])
        if rows and name == "sqlite":
            _give_back(connection)
    return len(rows)


def _give_back(connection: Connection) -> None:
    """Let SQLite shrink its file by a bounded number of freed pages."""
    cursor = connection.connection.cursor()
    # It gives back one page each time it is stepped; only a script is stepped to its end.
    cursor.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
    cursor.close()
