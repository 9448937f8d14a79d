"""The statements of recording: built by Core from the tables, compiled once, run by the driver as they are.

SQLAlchemy's own executemany costs 4 to 8 us a row in bind processing (measured against 2 us of the driver
alone); a batch has hundreds of rows and six statements, so here rows are made as plain tuples.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Dialect

from exporters.sql.compiled import insert, insert_new, names, upsert
from exporters.sql.json_text import dumps
from exporters.sql.schema import (
    instance_alias,
    instance_reputation,
    journal_position,
    refused_signal,
    reputation_signal,
    signal_gap,
)

SIGNAL_COLUMNS: Final = tuple(column.name for column in reputation_signal.columns)
HEAD_COLUMNS: Final = ("provider", "aliases", "lastSeq", "lastSignalAt", "connection", "connectionAt")
KEYS_MAX: Final = 1000
"""Keys looked up at once; bounds the statement, not the batch."""


class HotStatements(NamedTuple):
    """SQL text for one database; parameters in the order of the named columns.

    Attributes:
        insert_signal: `SIGNAL_COLUMNS`.
        insert_head: instance id; does nothing where the row exists.
        save_head: instance id, updatedAt, `HEAD_COLUMNS`.
        save_progress, insert_gap, save_alias, insert_refused: all columns of their tables.
        select_aliases: `single_keys` of aliases; gives alias, instance id.
        select_heads: `single_keys` of instance ids, locked on PostgreSQL; gives instance id, `HEAD_COLUMNS`.
        select_known: `pair_keys` of instance and signal ids; gives those stored.
        select_sent: `pair_keys` of instance and message ids; gives each with its earliest MESSAGE_SENT.
    """

    insert_signal: str
    insert_head: str
    save_head: str
    save_progress: str
    insert_gap: str
    save_alias: str
    insert_refused: str
    select_aliases: str
    select_heads: str
    select_known: str
    select_sent: str


def hot_statements(dialect: Dialect) -> HotStatements:
    """Compile the statements for one database."""
    position = ("segment", "offset", "tally")
    return HotStatements(
        insert(dialect, reputation_signal, SIGNAL_COLUMNS),
        insert_new(dialect, instance_reputation, ("instanceId",)),
        upsert(dialect, instance_reputation, ("instanceId",), ("updatedAt", *HEAD_COLUMNS)),
        upsert(dialect, journal_position, ("sidecarId", "journal"), position),
        insert_new(dialect, signal_gap, names(signal_gap)),
        upsert(dialect, instance_alias, ("alias",), ("instanceId",)),
        insert_new(dialect, refused_signal, names(refused_signal)),
        *(lookup.format(head=_HEAD, **_KEYS[dialect.name]) for lookup in _LOOKUPS),
    )


_HEAD: Final = ", ".join(f't."{name}"' for name in HEAD_COLUMNS)
_LOOKUPS: Final = (
    'SELECT t.alias, t."instanceId" FROM {one} JOIN instance_alias AS t ON t.alias = k.a',
    """SELECT t."instanceId", {head} FROM {one}
    JOIN instance_reputation AS t ON t."instanceId" = k.a {lock}""",
    """SELECT t."instanceId", t.id FROM {two}
    JOIN reputation_signal AS t ON t."instanceId" = k.a AND t.id = k.b""",
    """SELECT t."instanceId", t."messageId", MIN(t."occurredAt") FROM {two}
    JOIN reputation_signal AS t ON t."instanceId" = k.a AND t."messageId" = k.b
    WHERE t.type = 'MESSAGE_SENT' GROUP BY 1, 2""",
)

# The keys are one parameter, so that the text is the same for every batch. CROSS JOIN keeps SQLite's order of
# the loops: one index search a key. A row-value IN (VALUES ...) scans (25 us a key at 50 000 rows, not 2).
_KEYS: Final = {
    "sqlite": {
        "one": "(SELECT value AS a FROM json_each(?)) AS k CROSS",
        "two": """(SELECT json_extract(value, '$[0]') AS a, json_extract(value, '$[1]') AS b
            FROM json_each(?)) AS k CROSS""",
        "lock": "",
    },
    "postgresql": {
        "one": "unnest(%s::text[]) AS k(a)",
        "two": "unnest(%s::text[], %s::text[]) AS k(a, b)",
        "lock": 'ORDER BY t."instanceId" FOR UPDATE OF t',
    },
}


def single_keys(dialect: Dialect, keys: Sequence[str]) -> tuple[Any, ...]:
    """Give the parameters of a statement that looks up single keys."""
    return (list(keys),) if dialect.name == "postgresql" else (dumps(keys),)


def pair_keys(dialect: Dialect, keys: Sequence[tuple[str, str]]) -> tuple[Any, ...]:
    """Give the parameters of a statement that looks up pairs of keys."""
    if dialect.name == "postgresql":
        return ([first for first, _ in keys], [second for _, second in keys])
    return (dumps(keys),)
