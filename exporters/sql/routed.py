"""Questions put once an instance, many in one round trip: what Citus can send to one shard each.

Citus spreads the tables by `instanceId`. What names exactly one instance it hands to that instance's shard as
it is, row locks, LATERAL, LIMIT and all; locks over several shards, and a LIMIT inside a LATERAL over several
shards, it refuses (docs/operations-databases.md). The driver sends all sets of parameters before it waits for
the first answer (pipeline mode).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection

from domain.errors import StoreUnavailable

_IS_CITUS: Final = "SELECT to_regclass('pg_dist_partition') IS NOT NULL"
_IS_SPREAD: Final = (
    "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass('instance_reputation'))"
)


def is_spread(connection: Connection) -> bool:
    """Tell whether Citus spreads our tables in this database."""
    if connection.dialect.name != "postgresql" or not connection.exec_driver_sql(_IS_CITUS).scalar():
        return False
    return bool(connection.exec_driver_sql(_IS_SPREAD).scalar())


def ask_each(connection: Connection, question: str, keys: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Put one question for each set of parameters, in order; give all rows, in that order.

    Raises:
        StoreUnavailable: the connection or the server failed.
    """
    if not keys:
        return []
    pooled: Any = connection.connection
    rows: list[Any] = []
    with driver_faults(connection), pooled.cursor() as cursor:
        cursor.executemany(question, keys, returning=True)
        for answer in cursor.results():
            rows += answer.fetchall()
    return rows


def by_instance(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Gather pairs of instance and id: each instance with its ids."""
    gathered: dict[str, list[str]] = {}
    for instance_id, other in pairs:
        gathered.setdefault(instance_id, []).append(other)
    return list(gathered.items())


@contextmanager
def driver_faults(connection: Connection) -> Iterator[None]:
    """Put into our words what the driver raises where SQLAlchemy does not stand between.

    Raises:
        StoreUnavailable: with the driver's first line; what follows may quote a row.
    """
    driver: Any = connection.dialect.dbapi
    try:
        yield
    except driver.Error as fault:
        first_line = str(fault).partition("\n")[0]
        raise StoreUnavailable(f"{type(fault).__name__}: {first_line}") from fault
